#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include <etcdpp/base/logger.h>

namespace etcdpp::raft::transcript {

/// What a command prints, with the nodes' log lines in between. Below its level the log is silent; at the last level
/// ("NONE") everything is, but the errors of commands.
class Output final : public base::Logger {
 public:
  static constexpr const char* kLevels[] = {"DEBUG", "INFO", "WARN", "ERROR", "FATAL", "NONE"};
  static constexpr int kNone = 5;

  void print(std::string_view text) {
    if (!quiet()) text_ += text;
  }
  /// Whatever `work` prints, two columns to the right.
  void indented(const std::function<void()>& work) {
    std::string outer = std::exchange(text_, {});
    work();
    std::string_view inner = text_;
    while (!inner.empty()) {
      const std::size_t end = inner.find('\n');
      outer.append("  ").append(inner.substr(0, end)).append("\n");
      inner = end == std::string_view::npos ? std::string_view() : inner.substr(end + 1);
    }
    text_ = std::move(outer);
  }
  std::string take() { return std::exchange(text_, {}); }

  bool quiet() const { return level_ == kNone; }
  int level() const { return level_; }
  void set_level(int level) { level_ = level; }
  /// The number of a level's name, in any case of letters.
  static std::optional<int> level_named(std::string_view name) {
    for (int i = 0; i <= kNone; ++i)
      if (std::ranges::equal(std::string_view(kLevels[i]), name, {}, {}, [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }))
        return i;
    return std::nullopt;
  }

  bool enabled(base::LogLevel at) const override { return number(at) >= level_ && !quiet(); }
  void write(base::LogLevel at, std::string_view, std::string_view message, std::initializer_list<base::LogField>,
             std::source_location) override {
    print(fmt::format("{} {}\n", kLevels[number(at)], message));
  }

 private:
  static int number(base::LogLevel at) { return std::min(static_cast<int>(at), 4); }

  int level_ = 0;
  std::string text_;
};

}  // namespace etcdpp::raft::transcript

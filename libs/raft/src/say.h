#pragma once

#include <fmt/format.h>

#include <etcdpp/base/logger.h>

namespace etcdpp::raft {

/// The room's voice: etcd-raft's lines, formatted only when somebody listens. Component "raft".
class Say {
 public:
  explicit Say(base::Logger& logger) : logger_(&logger) {}

  template <typename... Args>
  void debug(fmt::format_string<Args...> format, Args&&... args) const {
    write(base::LogLevel::kDebug, fmt::string_view(format), args...);
  }
  template <typename... Args>
  void info(fmt::format_string<Args...> format, Args&&... args) const {
    write(base::LogLevel::kInfo, fmt::string_view(format), args...);
  }
  template <typename... Args>
  void warn(fmt::format_string<Args...> format, Args&&... args) const {
    write(base::LogLevel::kWarn, fmt::string_view(format), args...);
  }
  template <typename... Args>
  void error(fmt::format_string<Args...> format, Args&&... args) const {
    write(base::LogLevel::kError, fmt::string_view(format), args...);
  }

 private:
  template <typename... Args>
  void write(base::LogLevel level, fmt::string_view format, const Args&... args) const {
    if (!logger_->enabled(level)) return;
    logger_->write(level, "raft", fmt::vformat(format, fmt::make_format_args(args...)), {}, std::source_location::current());
  }

  base::Logger* logger_;
};

}  // namespace etcdpp::raft

#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace etcdpp::ctl {

enum class FlagKind { kBool, kInt, kText, kList, kDuration };

/// One flag as its command declares it.
struct FlagSpec {
  const char* name;
  char shorthand;  ///< 0 if none
  FlagKind kind;
  const char* default_value;
  const char* help;
};

/// A command line read by the rules that etcdctl's users know (POSIX/GNU as in Go's pflag): flags and arguments in any
/// order, `--name value`, `--name=value`, `-n value`, `-nvalue`, `--bool`, `--bool=false`; `--` ends the flags. Errors
/// are pflag's texts.
///
/// CLI11 is not used for this, because its rules and its messages are others, and because the lines of `txn` and
/// `watch -i` are read by the same rules.
class Flags {
 public:
  explicit Flags(std::vector<FlagSpec> specs);

  /// Reads arguments; may be called once.
  std::expected<void, std::string> parse(std::span<const std::string> arguments);

  /// Sets a flag as if given on the command line. The error says what is wrong with the value.
  std::expected<void, std::string> set(std::string_view name, std::string_view value);

  bool boolean(std::string_view name) const;
  std::int64_t integer(std::string_view name) const;
  const std::string& text(std::string_view name) const;
  const std::vector<std::string>& list(std::string_view name) const;
  std::chrono::nanoseconds duration(std::string_view name) const;

  bool changed(std::string_view name) const;
  bool knows(std::string_view name) const { return find(name) != nullptr; }

  /// True if the argument is a flag whose value is the next argument.
  bool takes_next(std::string_view argument) const;

  const std::vector<std::string>& arguments() const { return arguments_; }
  /// How many arguments stood before `--`, if it was there.
  std::optional<std::size_t> dash_at() const { return dash_at_; }

  struct Flag {
    FlagSpec spec;
    std::string value;               // as text; of a list, joined as Go prints it
    std::vector<std::string> items;  // of a list
    bool changed = false;
  };
  const std::vector<Flag>& all() const { return flags_; }

 private:
  const Flag* find(std::string_view name) const;
  Flag* find(std::string_view name);
  const Flag* find(char shorthand) const;
  Flag* find(char shorthand);
  const Flag& get(std::string_view name, FlagKind kind) const;
  std::expected<void, std::string> assign(Flag& flag, std::string_view value);
  std::expected<void, std::string> parse_long(std::string_view argument, std::span<const std::string>& rest);
  std::expected<void, std::string> parse_short(std::string_view letters, std::span<const std::string>& rest);

  std::vector<Flag> flags_;
  std::vector<std::string> arguments_;
  std::optional<std::size_t> dash_at_;
};

/// The flags as help shows them, sorted by name, with defaults.
std::string flag_usage(std::span<const FlagSpec> specs);

}  // namespace etcdpp::ctl

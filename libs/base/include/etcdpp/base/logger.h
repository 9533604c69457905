#pragma once

#include <cstdint>
#include <initializer_list>
#include <source_location>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace etcdpp::base {

enum class LogLevel { kDebug, kInfo, kWarn, kError, kPanic, kFatal };

/// One named value of a log line; numbers and booleans stay bare in JSON, durations are the caller's text ("7s").
struct LogField {
  using Value = std::variant<std::string, std::int64_t, std::uint64_t, double, bool, std::vector<std::string>>;
  std::string_view name;
  Value value;

  LogField(std::string_view n, std::string v) : name(n), value(std::move(v)) {}
  LogField(std::string_view n, std::string_view v) : name(n), value(std::string(v)) {}
  LogField(std::string_view n, const char* v) : name(n), value(std::string(v)) {}
  LogField(std::string_view n, bool v) : name(n), value(v) {}
  LogField(std::string_view n, double v) : name(n), value(v) {}
  LogField(std::string_view n, std::vector<std::string> v) : name(n), value(std::move(v)) {}
  template <typename Integer>
    requires(std::is_integral_v<Integer> && !std::is_same_v<Integer, bool>)
  LogField(std::string_view n, Integer v)
      : name(n), value([&]() -> Value {
          if constexpr (std::is_signed_v<Integer>) return static_cast<std::int64_t>(v);
          else return static_cast<std::uint64_t>(v);
        }()) {}
};

/// Where a library says what it did. Messages are the ones operators and test frameworks of etcd wait for
/// (docs/COMPATIBILITY.md); the daemon's sink writes them in zap's shape.
///
/// Threads: any. Never blocks on anything but its sink.
class Logger {
 public:
  virtual ~Logger() = default;
  virtual bool enabled(LogLevel level) const = 0;
  virtual void write(LogLevel level, std::string_view component, std::string_view message,
                     std::initializer_list<LogField> fields, std::source_location where) = 0;

  void debug(std::string_view message, std::initializer_list<LogField> fields = {},
             std::source_location where = std::source_location::current()) {
    if (enabled(LogLevel::kDebug)) write(LogLevel::kDebug, {}, message, fields, where);
  }
  void info(std::string_view message, std::initializer_list<LogField> fields = {},
            std::source_location where = std::source_location::current()) {
    if (enabled(LogLevel::kInfo)) write(LogLevel::kInfo, {}, message, fields, where);
  }
  void warn(std::string_view message, std::initializer_list<LogField> fields = {},
            std::source_location where = std::source_location::current()) {
    if (enabled(LogLevel::kWarn)) write(LogLevel::kWarn, {}, message, fields, where);
  }
  void error(std::string_view message, std::initializer_list<LogField> fields = {},
             std::source_location where = std::source_location::current()) {
    if (enabled(LogLevel::kError)) write(LogLevel::kError, {}, message, fields, where);
  }
  /// Like error, at level fatal; the caller ends the process.
  void fatal(std::string_view message, std::initializer_list<LogField> fields = {},
             std::source_location where = std::source_location::current()) {
    write(LogLevel::kFatal, {}, message, fields, where);
  }
};

/// Says nothing.
Logger& null_logger();

}  // namespace etcdpp::base

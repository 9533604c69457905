#include <etcdpp/config/zap_logger.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <functional>

#include <fcntl.h>
#include <unistd.h>

#include <etcdpp/config/errc.h>

#include "go_syntax.h"

namespace etcdpp::config {

namespace {

using base::LogField;
using base::LogLevel;

constexpr std::uint64_t kSampleFirst = 100, kSampleThereafter = 100;

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarn: return "warn";
    case LogLevel::kError: return "error";
    case LogLevel::kPanic: return "panic";
    case LogLevel::kFatal: return "fatal";
  }
  return "info";
}

/// Length of the well-formed UTF-8 sequence at the front of `text`; 0 if it is not one.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xc0) == 0x80; };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return continues(1) ? 2 : 0;
  if (first >= 0xe0 && first < 0xf0) {
    if (!continues(1) || !continues(2)) return 0;
    if (first == 0xe0 && byte(1) < 0xa0) return 0;
    if (first == 0xed && byte(1) >= 0xa0) return 0;  // surrogates
    return 3;
  }
  if (first >= 0xf0 && first < 0xf5) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    if (first == 0xf0 && byte(1) < 0x90) return 0;
    if (first == 0xf4 && byte(1) >= 0x90) return 0;
    return 4;
  }
  return 0;
}

void append_json_string(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text[0]);
    std::size_t length = 1;
    if (c >= 0x80) {
      length = utf8_length(text);
      if (length == 0) {
        out += "\\ufffd";
        length = 1;
      } else {
        out += text.substr(0, length);
      }
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += text[0];
    } else if (c >= 0x20 && c != 0x7f) {
      out += text[0];
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else {
      out += "\\u00";
      out += kHex[c >> 4];
      out += kHex[c & 15];
    }
    text.remove_prefix(length);
  }
  out += '"';
}

template <typename Number>
void append_number(std::string& out, Number n) {
  char digits[32];
  const auto [end, code] = std::to_chars(digits, digits + sizeof digits, n);
  out.append(digits, end);
}

void append_json_value(std::string& out, const LogField::Value& value, std::string_view comma) {
  if (const auto* text = std::get_if<std::string>(&value)) return append_json_string(out, *text);
  if (const auto* number = std::get_if<std::int64_t>(&value)) return append_number(out, *number);
  if (const auto* count = std::get_if<std::uint64_t>(&value)) return append_number(out, *count);
  if (const auto* flag = std::get_if<bool>(&value)) {
    out += *flag ? "true" : "false";
    return;
  }
  if (const auto* real = std::get_if<double>(&value)) {
    if (std::isfinite(*real)) append_number(out, *real);
    else append_json_string(out, std::isnan(*real) ? "NaN" : *real > 0 ? "+Inf" : "-Inf");
    return;
  }
  out += '[';
  bool first = true;
  for (const std::string& item : std::get<std::vector<std::string>>(value)) {
    if (!first) out += comma;
    first = false;
    append_json_string(out, item);
  }
  out += ']';
}

/// 2006-01-02T15:04:05.000000Z
void append_time(std::string& out, std::int64_t wall_microseconds) {
  using namespace std::chrono;
  const sys_time<microseconds> time{microseconds(wall_microseconds)};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  char text[64];
  const int length = std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%06dZ", static_cast<int>(date.year()),
                                   static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                                   static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                                   static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  out.append(text, static_cast<std::size_t>(length));
}

/// "…/libs/raft/src/raw_node.cc" as "raft/raw_node.cc:12".
void append_caller(std::string& out, const std::source_location& where) {
  std::string_view path = where.file_name();
  const std::size_t name_slash = path.rfind('/');
  std::string_view name = path;
  if (name_slash != std::string_view::npos) {
    name = path.substr(name_slash + 1);
    std::string_view directory = path.substr(0, name_slash);
    std::size_t slash = directory.rfind('/');
    if (directory.substr(slash == std::string_view::npos ? 0 : slash + 1) == "src" && slash != std::string_view::npos) {
      directory = directory.substr(0, slash);
      slash = directory.rfind('/');
    }
    out += directory.substr(slash == std::string_view::npos ? 0 : slash + 1);
    out += '/';
  }
  out += name;
  out += ':';
  append_number(out, where.line());
}

void write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(descriptor, bytes.data(), bytes.size());
    if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
    else if (n < 0 && errno == EINTR) continue;
    else return;
  }
}

}  // namespace

base::Result<LogOptions> log_options(std::string_view level, std::string_view format, const std::vector<std::string>& outputs) {
  LogOptions options;
  const auto refuse = [](std::string what) { return base::Error(Errc::kInvalidConfig, std::move(what)); };
  bool known = false;
  for (const LogLevel l : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError, LogLevel::kPanic, LogLevel::kFatal}) {
    if (level != level_name(l)) continue;
    options.level = l;
    known = true;
  }
  if (!known) return refuse("unrecognized level: " + quoted(level));
  if (format == "console") options.format = LogFormat::kConsole;
  else if (format != "json") return refuse("unknown log format: " + std::string(format) + ", supported values json, console");
  options.outputs = outputs;
  return options;
}

ZapLogger::ZapLogger(const LogOptions& options, const base::Clock& clock)
    : level_(options.level),
      format_(options.format),
      sampling_(options.sampling),
      wall_microseconds_(options.wall_microseconds),
      clock_(clock),
      counters_(options.sampling ? std::make_unique<std::array<Counter, 4096>>() : nullptr) {}

ZapLogger::ZapLogger(const LogOptions& options, const base::Clock& clock, std::string& sink) : ZapLogger(options, clock) {
  sink_ = &sink;
}

base::Result<std::unique_ptr<ZapLogger>> ZapLogger::open(const LogOptions& options, const base::Clock& clock) {
  std::unique_ptr<ZapLogger> logger(new ZapLogger(options, clock));
  for (const std::string& output : options.outputs) {
    if (output == "default" || output == "stderr") {
      logger->outputs_.push_back({STDERR_FILENO, false});
    } else if (output == "stdout") {
      logger->outputs_.push_back({STDOUT_FILENO, false});
    } else {
      const int descriptor = ::open(output.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
      if (descriptor < 0) {
        const int saved = errno;
        return base::Error(Errc::kLogOutput, "open sink " + quoted(output) + ": open " + output + ": " +
                                                 (saved == ENOENT ? "no such file or directory"
                                                                  : std::generic_category().message(saved)));
      }
      logger->outputs_.push_back({descriptor, true});
    }
  }
  return logger;
}

ZapLogger::~ZapLogger() {
  for (const Output& output : outputs_) {
    if (output.owned) ::close(output.descriptor);
  }
}

bool ZapLogger::sampled_out(LogLevel level, std::string_view message, std::int64_t wall_milliseconds) {
  if (!sampling_ || level >= LogLevel::kPanic) return false;
  const std::size_t hash = std::hash<std::string_view>{}(message) * 31 + static_cast<std::size_t>(level);
  Counter& counter = (*counters_)[hash % counters_->size()];
  // Two threads at the turn of a second may both reset: a few lines more, never fewer than promised.
  const std::int64_t second = wall_milliseconds / 1000;
  if (counter.second.exchange(second, std::memory_order_relaxed) != second) counter.count.store(0, std::memory_order_relaxed);
  const std::uint64_t n = counter.count.fetch_add(1, std::memory_order_relaxed) + 1;
  return n > kSampleFirst && (n - kSampleFirst) % kSampleThereafter != 0;
}

void ZapLogger::write_fields(LogLevel level, std::string_view component, std::string_view message,
                             std::span<const LogField> fields, std::source_location where) {
  if (!enabled(level)) return;
  const std::int64_t wall = clock_.wall_milliseconds();
  if (sampled_out(level, message, wall)) return;
  const std::int64_t microseconds = wall_microseconds_ ? wall_microseconds_() : wall * 1000;

  std::string line;
  line.reserve(256);
  if (format_ == LogFormat::kJson) {
    line += "{\"level\":\"";
    line += level_name(level);
    line += "\",\"ts\":\"";
    append_time(line, microseconds);
    line += '"';
    if (!component.empty()) {
      line += ",\"logger\":";
      append_json_string(line, component);
    }
    line += ",\"caller\":\"";
    append_caller(line, where);
    line += "\",\"msg\":";
    append_json_string(line, message);
    for (const LogField& field : fields) {
      line += ',';
      append_json_string(line, field.name);
      line += ':';
      append_json_value(line, field.value, ",");
    }
    line += "}\n";
  } else {
    append_time(line, microseconds);
    line += '\t';
    line += level_name(level);
    if (!component.empty()) (line += '\t') += component;
    line += '\t';
    append_caller(line, where);
    line += '\t';
    line += message;
    bool first = true;
    for (const LogField& field : fields) {
      line += first ? "\t{" : ", ";
      first = false;
      append_json_string(line, field.name);
      line += ": ";
      append_json_value(line, field.value, ", ");
    }
    if (!first) line += '}';
    line += '\n';
  }

  std::lock_guard lock(mutex_);
  if (sink_) *sink_ += line;
  for (const Output& output : outputs_) write_all(output.descriptor, line);
}

}  // namespace etcdpp::config

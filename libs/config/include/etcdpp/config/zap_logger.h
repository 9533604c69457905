#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <etcdpp/base/clock.h>
#include <etcdpp/base/env.h>
#include <etcdpp/base/logger.h>
#include <etcdpp/base/result.h>

namespace etcdpp::config {

enum class LogFormat { kJson, kConsole };

struct LogOptions {
  base::LogLevel level = base::LogLevel::kInfo;
  LogFormat format = LogFormat::kJson;
  /// "default" and "stderr", "stdout", or file paths (appended to, made if absent).
  std::vector<std::string> outputs{"default"};
  /// zap's sampling: of one level and message, the first 100 in a second, then each 100th. Off in tests that count.
  bool sampling = true;
  /// Wall time in microseconds since 1970, for ts; empty: the clock's milliseconds, with zeros behind.
  std::function<std::int64_t()> wall_microseconds;
};

/// "debug" … "fatal", and "json" or "console"; etcd's sentence otherwise.
base::Result<LogOptions> log_options(std::string_view level, std::string_view format,
                                     const std::vector<std::string>& outputs);

/// The daemon's log, in the shape of zap as etcd configures it: one JSON object (or console line) each, with level, ts
/// (UTC, microseconds), logger, caller ("room/file.cc:line"), msg, then the fields.
///
/// Threads: any; a line is one write(2) to each output under a mutex, so lines never mix. Difference from etcd: no
/// stacktrace. A write that fails is dropped: logging never stops the server.
class ZapLogger final : public base::Logger {
 public:
  /// Opens the outputs. `clock` gives wall time for the sampling second, and for ts where the options name no finer
  /// one; it must outlive the logger.
  static base::Result<std::unique_ptr<ZapLogger>> open(const LogOptions& options, const base::Clock& clock);
  /// Writes into `sink` instead of the outputs (tests).
  ZapLogger(const LogOptions& options, const base::Clock& clock, std::string& sink);
  ~ZapLogger() override;
  ZapLogger(const ZapLogger&) = delete;
  ZapLogger& operator=(const ZapLogger&) = delete;

  bool enabled(base::LogLevel level) const override { return level >= level_.load(std::memory_order_relaxed); }
  void set_level(base::LogLevel level) { level_.store(level, std::memory_order_relaxed); }
  void write(base::LogLevel level, std::string_view component, std::string_view message,
             std::initializer_list<base::LogField> fields, std::source_location where) override {
    write_fields(level, component, message, std::span(fields.begin(), fields.size()), where);
  }
  void write_fields(base::LogLevel level, std::string_view component, std::string_view message,
                    std::span<const base::LogField> fields,
                    std::source_location where = std::source_location::current());

 private:
  struct Output {
    int descriptor;
    bool owned;
  };
  struct Counter {
    std::atomic<std::int64_t> second{-1};
    std::atomic<std::uint64_t> count{0};
  };

  ZapLogger(const LogOptions& options, const base::Clock& clock);
  bool sampled_out(base::LogLevel level, std::string_view message, std::int64_t wall_milliseconds);

  std::atomic<base::LogLevel> level_;
  const LogFormat format_;
  const bool sampling_;
  const std::function<std::int64_t()> wall_microseconds_;
  const base::Clock& clock_;
  std::unique_ptr<std::array<Counter, 4096>> counters_;  // by hash of level and message, as zap
  std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<Output> outputs_;
  std::string* sink_ = nullptr;
};

/// Puts a name ("raft") into the `logger` field of every line on its way to another logger, which must outlive it.
class NamedLogger final : public base::Logger {
 public:
  NamedLogger(base::Logger& to, std::string name) : to_(to), name_(std::move(name)) {}
  bool enabled(base::LogLevel level) const override { return to_.enabled(level); }
  void write(base::LogLevel level, std::string_view component, std::string_view message,
             std::initializer_list<base::LogField> fields, std::source_location where) override {
    to_.write(level, component.empty() ? std::string_view(name_) : component, message, fields, where);
  }

 private:
  base::Logger& to_;
  const std::string name_;
};

}  // namespace etcdpp::config

#pragma once

#include <initializer_list>
#include <iosfwd>
#include <string>
#include <string_view>

#include <etcdpp/base/logger.h>

namespace etcdpp::ctl {

/// One log line in zap's JSON shape, with its newline.
std::string zap_line(base::LogLevel level, std::string_view logger, std::string_view caller, std::string_view message,
                     std::initializer_list<base::LogField> fields);

/// What the client library warns of, on standard error. Threads: any.
class ZapLogger final : public base::Logger {
 public:
  explicit ZapLogger(std::ostream& err) : err_(err) {}
  bool enabled(base::LogLevel level) const override { return level >= base::LogLevel::kWarn; }
  void write(base::LogLevel level, std::string_view component, std::string_view message,
             std::initializer_list<base::LogField> fields, std::source_location where) override;

 private:
  std::ostream& err_;
};

}  // namespace etcdpp::ctl

#include "zap_log.h"

#include <sys/time.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <ostream>

#include "go_text.h"

namespace etcdpp::ctl {
namespace {

std::string now() {
  timeval time{};
  gettimeofday(&time, nullptr);
  std::tm utc{};
  gmtime_r(&time.tv_sec, &utc);
  std::array<char, 40> text{};
  const auto length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(text.data() + length, text.size() - length, ".%06ldZ", static_cast<long>(time.tv_usec));
  return text.data();
}

std::string json_value(const base::LogField::Value& value) {
  struct Visitor {
    std::string operator()(const std::string& text) const { return json_quote(text); }
    std::string operator()(bool truth) const { return truth ? "true" : "false"; }
    std::string operator()(double number) const { return std::to_string(number); }
    std::string operator()(std::int64_t number) const { return std::to_string(number); }
    std::string operator()(std::uint64_t number) const { return std::to_string(number); }
    std::string operator()(const std::vector<std::string>& texts) const {
      std::string out = "[";
      for (const auto& text : texts) out += (out.size() > 1 ? "," : "") + json_quote(text);
      return out + "]";
    }
  };
  return std::visit(Visitor{}, value);
}

}  // namespace

std::string zap_line(base::LogLevel level, std::string_view logger, std::string_view caller, std::string_view message,
                     std::initializer_list<base::LogField> fields) {
  static constexpr std::array kLevels{"debug", "info", "warn", "error", "panic", "fatal"};
  std::string out =
      std::string("{\"level\":\"") + kLevels[static_cast<std::size_t>(level)] + "\",\"ts\":\"" + now() + "\"";
  if (!logger.empty()) out += ",\"logger\":" + json_quote(logger);
  out += ",\"caller\":" + json_quote(caller) + ",\"msg\":" + json_quote(message);
  for (const auto& field : fields) out += "," + json_quote(field.name) + ":" + json_value(field.value);
  return out + "}\n";
}

void ZapLogger::write(base::LogLevel level, std::string_view, std::string_view message,
                      std::initializer_list<base::LogField> fields, std::source_location where) {
  std::string_view file = where.file_name();
  if (auto slash = file.rfind('/'); slash != std::string_view::npos) file.remove_prefix(slash + 1);
  const std::string caller = "client/" + std::string(file) + ":" + std::to_string(where.line());
  err_ << zap_line(level, "etcd-client", caller, message, fields);
  err_.flush();
}

}  // namespace etcdpp::ctl

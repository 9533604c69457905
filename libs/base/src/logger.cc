#include <etcdpp/base/logger.h>

namespace etcdpp::base {

namespace {
class NullLogger final : public Logger {
 public:
  bool enabled(LogLevel) const override { return false; }
  void write(LogLevel, std::string_view, std::string_view, std::initializer_list<LogField>, std::source_location) override {}
};
}  // namespace

Logger& null_logger() {
  static NullLogger logger;
  return logger;
}

}  // namespace etcdpp::base

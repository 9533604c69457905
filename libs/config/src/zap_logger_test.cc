#include <etcdpp/config/zap_logger.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <thread>

#include <unistd.h>

#include <doctest/doctest.h>

namespace etcdpp::config {
namespace {

std::size_t lines_in(const std::string& text) { return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')); }

std::string line_number(const std::string& text) {
  const std::size_t at = text.find("zap_logger_test.cc:") + 19;
  return text.substr(at, text.find_first_not_of("0123456789", at) - at);
}

TEST_CASE("zap logger: a JSON line has level, ts, logger, caller, msg and the fields, in this order") {
  base::ManualClock clock(1'700'000'000'123);
  std::string out;
  ZapLogger logger({}, clock, out);
  logger.info("hello", {{"text", "a\"\\\n\x01é\xff"}, {"n", -3}, {"u", 18446744073709551615ULL}, {"yes", true}, {"half", 0.5},
                        {"list", std::vector<std::string>{"a", "b"}}});
  CHECK(out == "{\"level\":\"info\",\"ts\":\"2023-11-14T22:13:20.123000Z\",\"caller\":\"config/zap_logger_test.cc:" + line_number(out) +
                   "\",\"msg\":\"hello\",\"text\":\"a\\\"\\\\\\n\\u0001é\\ufffd\",\"n\":-3,\"u\":18446744073709551615,\"yes\":true,"
                   "\"half\":0.5,\"list\":[\"a\",\"b\"]}\n");
  out.clear();
  NamedLogger raft(logger, "raft");
  raft.warn("x");
  CHECK(out.starts_with("{\"level\":\"warn\",\"ts\":\"2023-11-14T22:13:20.123000Z\",\"logger\":\"raft\",\"caller\":\"config/"));
}

TEST_CASE("zap logger: a finer clock fills the microseconds") {
  base::ManualClock clock(0);
  std::string out;
  LogOptions options;
  options.wall_microseconds = [] { return std::int64_t{1'700'000'000'123'045}; };
  ZapLogger(options, clock, out).info("hello");
  CHECK(out.starts_with("{\"level\":\"info\",\"ts\":\"2023-11-14T22:13:20.123045Z\","));
}

TEST_CASE("zap logger: a console line is separated by tabs") {
  base::ManualClock clock(0);
  std::string out;
  LogOptions options;
  options.format = LogFormat::kConsole;
  ZapLogger logger(options, clock, out);
  logger.info("hello", {{"args", std::vector<std::string>{"a", "b"}}, {"n", 1}});
  CHECK(out == "1970-01-01T00:00:00.000000Z\tinfo\tconfig/zap_logger_test.cc:" + line_number(out) +
                   "\thello\t{\"args\": [\"a\", \"b\"], \"n\": 1}\n");
  out.clear();
  NamedLogger(logger, "raft").error("bare");
  CHECK(out == "1970-01-01T00:00:00.000000Z\terror\traft\tconfig/zap_logger_test.cc:" + line_number(out) + "\tbare\n");
}

TEST_CASE("zap logger: lines below the level are dropped, and the level can be changed") {
  base::ManualClock clock;
  std::string out;
  LogOptions options;
  options.level = base::LogLevel::kWarn;
  ZapLogger logger(options, clock, out);
  logger.info("no");
  CHECK(out.empty());
  logger.set_level(base::LogLevel::kDebug);
  logger.debug("yes");
  CHECK(lines_in(out) == 1);
}

TEST_CASE("zap logger: of one message the first hundred in a second, then each hundredth") {
  base::ManualClock clock(1'700'000'000'000);
  std::string out;
  ZapLogger logger({}, clock, out);
  for (int i = 0; i < 450; ++i) logger.info("busy");
  CHECK(lines_in(out) == 103);
  logger.info("quiet");
  logger.warn("busy");
  CHECK(lines_in(out) == 105);
  clock.advance(std::chrono::seconds(1));
  logger.info("busy");
  CHECK(lines_in(out) == 106);
  for (int i = 0; i < 300; ++i) logger.fatal("last words");
  CHECK(lines_in(out) == 406);
}

TEST_CASE("zap logger: files are appended to, lines of many threads stay whole") {
  const std::string path = "/tmp/etcdpp-zap-test-" + std::to_string(::getpid());
  base::SystemClock clock;
  LogOptions options;
  options.outputs = {path};
  options.sampling = false;
  for (int round = 0; round < 2; ++round) {
    auto logger = ZapLogger::open(options, clock);
    REQUIRE(logger);
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 200; ++i) (*logger)->info("line", {{"pad", std::string(100, 'x')}});
      });
    }
  }
  std::ifstream file(path);
  std::string line;
  std::size_t count = 0;
  while (std::getline(file, line)) {
    ++count;
    CHECK(line.starts_with("{\"level\":\"info\",\"ts\":"));
    CHECK(line.ends_with("x\"}"));
  }
  CHECK(count == 1600);
  ::unlink(path.c_str());
  options.outputs = {"/nonexistent/x"};
  const auto refused = ZapLogger::open(options, clock);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().context == "open sink \"/nonexistent/x\": open /nonexistent/x: no such file or directory");
}

}  // namespace
}  // namespace etcdpp::config

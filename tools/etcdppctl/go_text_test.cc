#include "go_text.h"

#include <limits>
#include <ostream>

#include <doctest/doctest.h>

using namespace etcdpp::ctl;
using std::chrono::nanoseconds;

TEST_CASE("go text: quoting escapes what Go escapes") {
  CHECK(go_quote("plain") == "\"plain\"");
  CHECK(go_quote("a\"b\\c\n\t\x01\x7f") == "\"a\\\"b\\\\c\\n\\t\\x01\\x7f\"");
  CHECK(go_quote("héllo ✓") == "\"héllo ✓\"");
  CHECK(go_quote("\xff\xc3") == "\"\\xff\\xc3\"");
  CHECK(go_quote("\u00a0\u200b") == "\"\\u00a0\\u200b\"");
  CHECK(go_quote(std::string(1, '\0')) == "\"\\x00\"");
}

TEST_CASE("go text: what is quoted reads back as it was") {
  for (std::string bytes : {"", "a b", "\"\\", "\a\b\f\n\r\t\v", "\xff\xfe\x00x", "✓"}) {
    const std::string quoted = go_quote(bytes) + " rest";
    std::string_view text = quoted;
    std::string out;
    REQUIRE(take_go_string(text, out));
    CHECK(out == bytes);
    CHECK(text == " rest");
  }
}

TEST_CASE("go text: string literals take every escape and refuse broken ones") {
  const auto read = [](std::string_view text) {
    std::string out;
    return take_go_string(text, out) ? out : "refused";
  };
  CHECK(read("\"\\x41\\101\\u2713\\U0001F600\"") == "AA✓😀");
  CHECK(read("`raw \\n`") == "raw \\n");
  for (const char* bad : {"\"open", "\"\\x4\"", "\"\\q\"", "\"\\ud800\"", "\"\\400\"", "plain", "", "`open", "\"\\"})
    CHECK(read(bad) == "refused");
}

TEST_CASE("go text: JSON strings escape markup and repair bytes that are not text") {
  CHECK(json_quote("<a href=\"x\">&\n") == "\"\\u003ca href=\\\"x\\\"\\u003e\\u0026\\n\"");
  CHECK(json_quote("\xff\u2028") == "\"\\ufffd\\u2028\"");
}

TEST_CASE("go text: base64 of every length") {
  CHECK(base64("") == "");
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64("\xff\xff\xfe") == "///+");
}

TEST_CASE("go text: ids and durations") {
  CHECK(hex16(0x123) == "0000000000000123");
  CHECK(hex(0) == "0");
  CHECK(hex(0xa87a472412f1f7e6) == "a87a472412f1f7e6");
  CHECK(hex_escape("fo\n") == "\\x66\\x6f\\x0a");

  CHECK(go_duration(nanoseconds(0)) == "0s");
  CHECK(go_duration(nanoseconds(12)) == "12ns");
  CHECK(go_duration(nanoseconds(1500)) == "1.5µs");
  CHECK(go_duration(nanoseconds(2646044)) == "2.646044ms");
  CHECK(go_duration(nanoseconds(1000446048)) == "1.000446048s");
  CHECK(go_duration(std::chrono::seconds(3661)) == "1h1m1s");
  CHECK(go_duration(std::chrono::seconds(-5)) == "-5s");
}

TEST_CASE("go text: numbers and durations are read with Go's complaints") {
  CHECK(parse_duration("1m30s").value() == std::chrono::seconds(90));
  CHECK(parse_duration("1.5s").value() == std::chrono::milliseconds(1500));
  CHECK(parse_duration("5").error() == "time: missing unit in duration \"5\"");
  CHECK(parse_duration("5y").error() == "time: unknown unit \"y\" in duration \"5y\"");
  CHECK(parse_duration("").error() == "time: invalid duration \"\"");

  CHECK(parse_int("-9223372036854775808", 10).value() == std::numeric_limits<std::int64_t>::min());
  CHECK(parse_int("77e6a204a7224d33", 16).value() == 0x77e6a204a7224d33);
  CHECK(parse_int("0x10", 0).value() == 16);
  CHECK(parse_int("xyz", 16).error() == "strconv.ParseInt: parsing \"xyz\": invalid syntax");
  CHECK(parse_int("9223372036854775808", 10).error() ==
        "strconv.ParseInt: parsing \"9223372036854775808\": value out of range");
  CHECK(parse_int("", 10).error() == "strconv.ParseInt: parsing \"\": invalid syntax");
  CHECK(parse_uint("ffffffffffffffff", 16).value() == std::numeric_limits<std::uint64_t>::max());
  CHECK(parse_uint("zz", 16).error() == "strconv.ParseUint: parsing \"zz\": invalid syntax");
  CHECK(parse_bool("T").value());
  CHECK_FALSE(parse_bool("maybe").has_value());
}

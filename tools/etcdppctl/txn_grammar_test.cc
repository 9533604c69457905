#include "txn_grammar.h"

#include <sstream>

#include <doctest/doctest.h>

#include "shell_words.h"

using namespace etcdpp::ctl;
namespace pb = etcdserverpb;

namespace {

std::string complaint(const std::string& line) {
  auto compare = parse_compare(line);
  if (compare) return "none";
  CHECK(compare.error().exit_code == kInvalidInput);
  return compare.error().message;
}

Outcome<pb::TxnRequest> read(const std::string& text) {
  std::istringstream in(text);
  std::ostringstream err;
  return read_txn(in, nullptr, err);
}

}  // namespace

TEST_CASE("txn grammar: each target and operator") {
  auto compare = parse_compare("mod(\"k\\x41\") > \"12\"");
  REQUIRE(compare);
  CHECK(compare->key() == "kA");
  CHECK(compare->target() == pb::Compare::MOD);
  CHECK(compare->result() == pb::Compare::GREATER);
  CHECK(compare->mod_revision() == 12);

  CHECK(parse_compare("ver(`k`) = `0`")->version() == 0);
  CHECK(parse_compare("c(\"k\") != \"-1\"")->create_revision() == -1);
  CHECK(parse_compare("val(\"k\") < \"a b\"")->value() == "a b");
  CHECK(parse_compare("lease(\"k\") = \"77e6a204a7224d33\"")->lease() == 0x77e6a204a7224d33);
}

TEST_CASE("txn grammar: comparisons that cannot be read name what was understood") {
  CHECK(complaint("foo") == "malformed comparison: foo");
  CHECK(complaint("x(\"k\") > \"1\"") == "malformed comparison: x(\"k\") > \"1\" (unknown target x)");
  CHECK(complaint("ver(k) > 1") == "malformed comparison: ver(k) > 1; got ver(\"\")  \"\"");
  CHECK(complaint("ver(\"k\")>\"1\"") == "malformed comparison: ver(\"k\")>\"1\"; got ver(\"k\")  \"\"");
  CHECK(complaint("val(\"k\") < \"x") == "malformed comparison: val(\"k\") < \"x; got val(\"k\") < \"\"");
  CHECK(complaint("ver(\"k\") >= \"1\"") == "malformed comparison: ver(\"k\") >= \"1\" (unknown operator >=)");
  CHECK(complaint("ver(\"k\") > \"x\"") == "invalid txn compare request: ver(\"k\") > \"x\"");
  CHECK(complaint("mod(\"k\") > \"99999999999999999999\"") ==
        "invalid txn compare request: mod(\"k\") > \"99999999999999999999\"");
}

TEST_CASE("txn grammar: three parts become one request") {
  auto txn = read("ver(\"k\") > \"0\"\n\nput k \"a b\" --lease 1f\nget --prefix k --keys-only\n\ndel k --prev-kv\n\n");
  REQUIRE(txn);
  CHECK(txn->compare_size() == 1);
  REQUIRE(txn->success_size() == 2);
  CHECK(txn->success(0).request_put().value() == "a b");
  CHECK(txn->success(0).request_put().lease() == 0x1f);
  CHECK(txn->success(1).request_range().range_end() == "l");
  CHECK(txn->success(1).request_range().keys_only());
  REQUIRE(txn->failure_size() == 1);
  CHECK(txn->failure(0).request_delete_range().prev_kv());
}

TEST_CASE("txn grammar: bad request lines and a missing end") {
  const auto why = [](const std::string& op) {
    auto txn = read("\n" + op + "\n\n\n");
    return txn ? "none" : std::to_string(txn.error().exit_code) + " " + txn.error().message;
  };
  CHECK(why("foo bar") == "3 invalid txn request: foo bar");
  CHECK(why("get") == "3 invalid txn compare request: get");
  CHECK(why("get --nosuch a") == "3 invalid txn request: get --nosuch a");
  CHECK(why("put a") == "128 put command needs 1 argument and input from stdin or 2 arguments");
  CHECK(why("put a b --lease=zz") ==
        "128 bad lease ID (strconv.ParseInt: parsing \"zz\": invalid syntax), expecting ID in Hex");
  CHECK(why("get a --order x") == "4 bad sort order x");
  CHECK(why("put a \"\\q\"") == "3 invalid txn request: put a \"\\q\"");
  CHECK(read("\n\n").error().message == "EOF");
  CHECK(read("\n\nget a").error().message == "EOF");
  CHECK(read("").error().exit_code == kInvalidInput);
}

TEST_CASE("txn grammar: prompts come before each part") {
  std::istringstream in("\n\n\n");
  std::ostringstream prompts;
  std::ostringstream err;
  REQUIRE(read_txn(in, &prompts, err));
  CHECK(prompts.str() == "compares:\nsuccess requests (get, put, del):\nfailure requests (get, put, del):\n");
}

TEST_CASE("shell words: quotes of both kinds, raw words, unclosed quotes dropped") {
  using Words = std::vector<std::string>;
  CHECK(*shell_words("  put  a\\n 'b c\\n' \"d\\x41\\n\" ") == Words{"put", "a\\n", "b c\\n", "dA\n"});
  CHECK(*shell_words("put q \"x") == Words{"put", "q", "x"});
  CHECK(*shell_words("a\"b c'd") == Words{"a\"b", "c'd"});
  CHECK(*shell_words("\"\" ''") == Words{"", ""});
  CHECK(shell_words("   ")->empty());
  CHECK_FALSE(shell_words("\"\\q\""));
}

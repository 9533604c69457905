#include "txn_grammar.h"

#include <functional>
#include <istream>
#include <ostream>

#include "command.h"
#include "go_text.h"
#include "kv_requests.h"
#include "shell_words.h"

namespace etcdpp::ctl {
namespace {

namespace pb = etcdserverpb;

bool skip_blanks(std::string_view& text) {
  const std::size_t used = std::min(text.find_first_not_of(" \t"), text.size());
  text.remove_prefix(used);
  return used > 0;
}

/// One line of a command within a txn. The flags are read by a command line's own rules.
Outcome<pb::RequestOp> parse_op(const std::string& line, std::ostream& err) {
  const auto invalid = [&] { return fail(kInvalidInput, "invalid txn request: " + line); };
  const auto words = shell_words(line);
  if (!words) return invalid();
  if (words->size() < 2) return fail(kInvalidInput, "invalid txn compare request: " + line);

  const std::string& name = words->front();
  const bool is_put = name == "put";
  const bool is_del = name == "del";
  if (!is_put && !is_del && name != "get") return invalid();
  const auto specs = is_put ? put_flags() : is_del ? del_flags() : get_flags();
  Flags flags(specs);
  if (auto parsed = flags.parse(std::span(*words).subspan(1)); !parsed) {
    err << parsed.error() << "\n\nFlags of " << name << ":\n" << flag_usage(specs) << '\n';
    return invalid();
  }

  pb::RequestOp op;
  if (is_put) {
    // The transaction is what standard input holds, so a value must stand in the line.
    if (flags.arguments().size() < 2 && !flags.boolean("ignore-value"))
      return fail(kBadArgs, "put command needs 1 argument and input from stdin or 2 arguments");
    std::istream none(nullptr);
    auto request = put_request(flags, none);
    if (!request) return std::unexpected(request.error());
    *op.mutable_request_put() = std::move(*request);
  } else if (is_del) {
    auto request = delete_request(flags, err);
    if (!request) return std::unexpected(request.error());
    *op.mutable_request_delete_range() = std::move(*request);
  } else {
    auto request = range_request(flags);
    if (!request) return std::unexpected(request.error());
    *op.mutable_request_range() = std::move(*request);
  }
  return op;
}

/// Calls `take` with each line up to the empty one.
Outcome<> read_part(std::istream& in, const std::function<Outcome<>(const std::string&)>& take) {
  std::string line;
  while (std::getline(in, line)) {
    if (in.eof()) break;  // a last line that is not ended does not count
    const auto first = line.find_first_not_of(" \t\r");
    if (first == std::string::npos) return {};
    const auto last = line.find_last_not_of(" \t\r");
    if (auto taken = take(line.substr(first, last - first + 1)); !taken) return taken;
  }
  return fail(kInvalidInput, "EOF");
}

}  // namespace

Outcome<pb::Compare> parse_compare(const std::string& line) {
  const auto malformed = [&](const std::string& why) {
    return fail(kInvalidInput, "malformed comparison: " + line + why);
  };
  const auto invalid = [&] { return fail(kInvalidInput, "invalid txn compare request: " + line); };

  const auto parenthesis = line.find('(');
  if (parenthesis == std::string::npos || parenthesis == 0) return malformed("");
  const std::string target = line.substr(0, parenthesis);
  std::string_view rest = std::string_view(line).substr(parenthesis + 1);
  std::string key;
  std::string op;
  std::string value;
  const bool complete = [&] {
    skip_blanks(rest);
    if (!take_go_string(rest, key)) return false;
    if (rest.empty() || rest[0] != ')') return false;
    rest.remove_prefix(1);
    if (!skip_blanks(rest)) return false;
    const auto end = rest.find_first_of(" \t");
    op = rest.substr(0, end);
    rest.remove_prefix(op.size());
    skip_blanks(rest);
    return take_go_string(rest, value);
  }();
  if (!complete) return malformed("; got " + target + "(" + go_quote(key) + ") " + op + " " + go_quote(value));

  pb::Compare compare;
  compare.set_key(key);
  if (op == "=")
    compare.set_result(pb::Compare::EQUAL);
  else if (op == "!=")
    compare.set_result(pb::Compare::NOT_EQUAL);
  else if (op == ">")
    compare.set_result(pb::Compare::GREATER);
  else if (op == "<")
    compare.set_result(pb::Compare::LESS);
  else
    return malformed(" (unknown operator " + op + ")");

  const auto number = parse_int(value, 10);
  if (target == "ver" || target == "version") {
    if (!number) return invalid();
    compare.set_target(pb::Compare::VERSION);
    compare.set_version(*number);
  } else if (target == "c" || target == "create") {
    if (!number) return invalid();
    compare.set_target(pb::Compare::CREATE);
    compare.set_create_revision(*number);
  } else if (target == "m" || target == "mod") {
    if (!number) return invalid();
    compare.set_target(pb::Compare::MOD);
    compare.set_mod_revision(*number);
  } else if (target == "val" || target == "value") {
    compare.set_target(pb::Compare::VALUE);
    compare.set_value(value);
  } else if (target == "lease") {
    const auto lease = parse_int(value, 16);
    if (!lease) return invalid();
    compare.set_target(pb::Compare::LEASE);
    compare.set_lease(*lease);
  } else {
    return malformed(" (unknown target " + target + ")");
  }
  return compare;
}

Outcome<pb::TxnRequest> read_txn(std::istream& in, std::ostream* prompts, std::ostream& err) {
  pb::TxnRequest request;
  const auto announce = [&](const char* part) {
    if (prompts) *prompts << part << '\n' << std::flush;
  };
  const auto read_ops = [&](google::protobuf::RepeatedPtrField<pb::RequestOp>& ops) {
    return read_part(in, [&](const std::string& line) -> Outcome<> {
      auto op = parse_op(line, err);
      if (!op) return std::unexpected(op.error());
      *ops.Add() = std::move(*op);
      return {};
    });
  };

  announce("compares:");
  auto done = read_part(in, [&](const std::string& line) -> Outcome<> {
    auto compare = parse_compare(line);
    if (!compare) return std::unexpected(compare.error());
    *request.add_compare() = std::move(*compare);
    return {};
  });
  if (!done) return std::unexpected(done.error());
  announce("success requests (get, put, del):");
  if (done = read_ops(*request.mutable_success()); !done) return std::unexpected(done.error());
  announce("failure requests (get, put, del):");
  if (done = read_ops(*request.mutable_failure()); !done) return std::unexpected(done.error());
  return request;
}

}  // namespace etcdpp::ctl

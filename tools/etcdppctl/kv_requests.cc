#include "kv_requests.h"

#include <algorithm>
#include <chrono>
#include <istream>
#include <iterator>
#include <ostream>
#include <thread>

#include "go_text.h"

namespace etcdpp::ctl {
namespace {

namespace pb = etcdserverpb;

const std::string kNul(1, '\0');

/// Key and end of `get` and `del`: the key space from the key on with --from-key, all that begins with it with
/// --prefix.
Outcome<> set_interval(const Flags& flags, const char* command, std::string& key, std::string& end) {
  const auto& arguments = flags.arguments();
  const bool prefix = flags.boolean("prefix");
  const bool from_key = flags.boolean("from-key");
  if (prefix && from_key)
    return fail(kBadArgs, "`--prefix` and `--from-key` cannot be set at the same time, choose one");
  if (arguments.empty())
    return fail(kBadArgs,
                std::string(command) + " command needs one argument as key and an optional argument as range_end");
  if ((prefix || from_key) && arguments.size() > 1)
    return fail(kBadArgs, "too many arguments, only accept one argument when `--prefix` or `--from-key` is set");
  key = arguments[0];
  if (arguments.size() > 1) end = arguments[1];
  if (prefix || from_key) {
    end = prefix && !key.empty() ? prefix_end(key) : kNul;
    if (key.empty()) key = kNul;
  }
  return {};
}

Outcome<> set_sorting(const Flags& flags, pb::RangeRequest& request) {
  const auto upper = [](std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    return text;
  };
  const std::string& order = flags.text("order");
  if (upper(order) == "ASCEND")
    request.set_sort_order(pb::RangeRequest::ASCEND);
  else if (upper(order) == "DESCEND")
    request.set_sort_order(pb::RangeRequest::DESCEND);
  else if (!order.empty())
    return fail(kBadFeature, "bad sort order " + order);

  const std::string& target = flags.text("sort-by");
  const std::string wanted = upper(target);
  if (wanted == "CREATE")
    request.set_sort_target(pb::RangeRequest::CREATE);
  else if (wanted == "MODIFY")
    request.set_sort_target(pb::RangeRequest::MOD);
  else if (wanted == "VALUE")
    request.set_sort_target(pb::RangeRequest::VALUE);
  else if (wanted == "VERSION")
    request.set_sort_target(pb::RangeRequest::VERSION);
  else if (wanted != "KEY" && !target.empty())
    return fail(kBadFeature, "bad sort target " + target);
  // Keys come in ascending order anyway; any other target needs an order to mean something.
  if (!wanted.empty() && wanted != "KEY" && order.empty()) request.set_sort_order(pb::RangeRequest::ASCEND);
  return {};
}

Outcome<> set_revisions(const Flags& flags, pb::RangeRequest& request) {
  const auto bounds = [&](const char* low, const char* high, const char* name) -> Outcome<> {
    const auto least = flags.integer(low);
    const auto most = flags.integer(high);
    if (least > 0 && most > 0 && least > most)
      return fail(kBadFeature, std::string("getMin") + name + "(=" + std::to_string(least) + ") > getMax" + name +
                                   "(=" + std::to_string(most) + ")");
    return {};
  };
  if (auto ok = bounds("min-create-rev", "max-create-rev", "CreateRev"); !ok) return ok;
  if (auto ok = bounds("min-mod-rev", "max-mod-rev", "ModRev"); !ok) return ok;
  request.set_min_create_revision(flags.integer("min-create-rev"));
  request.set_max_create_revision(flags.integer("max-create-rev"));
  request.set_min_mod_revision(flags.integer("min-mod-rev"));
  request.set_max_mod_revision(flags.integer("max-mod-rev"));
  if (flags.integer("rev") > 0) request.set_revision(flags.integer("rev"));
  return {};
}

}  // namespace

std::string prefix_end(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xFF) prefix.pop_back();
  if (prefix.empty()) return kNul;
  prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

Outcome<pb::RangeRequest> range_request(const Flags& flags) {
  pb::RangeRequest request;
  if (flags.boolean("keys-only") && flags.boolean("count-only"))
    return fail(kBadArgs, "`--keys-only` and `--count-only` cannot be set at the same time, choose one");
  if (auto ok = set_interval(flags, "get", *request.mutable_key(), *request.mutable_range_end()); !ok)
    return std::unexpected(ok.error());
  const std::string& consistency = flags.text("consistency");
  if (consistency == "s")
    request.set_serializable(true);
  else if (consistency != "l")
    return fail(kBadFeature, "unknown consistency flag " + go_quote(consistency));
  if (auto ok = set_sorting(flags, request); !ok) return std::unexpected(ok.error());
  if (auto ok = set_revisions(flags, request); !ok) return std::unexpected(ok.error());
  request.set_limit(flags.integer("limit"));
  request.set_keys_only(flags.boolean("keys-only"));
  request.set_count_only(flags.boolean("count-only"));
  return request;
}

Outcome<pb::PutRequest> put_request(const Flags& flags, std::istream& in) {
  const auto& arguments = flags.arguments();
  const bool ignore_value = flags.boolean("ignore-value");
  if (arguments.empty()) return fail(kBadArgs, "put command needs 1 argument and input from stdin or 2 arguments");
  if (ignore_value && arguments.size() > 1)
    return fail(kBadArgs, "put command needs only 1 argument when 'ignore-value' is set");
  auto lease = parse_int(flags.text("lease"), 16);
  if (!lease) return fail(kBadArgs, "bad lease ID (" + lease.error() + "), expecting ID in Hex");

  pb::PutRequest request;
  request.set_key(arguments[0]);
  if (!ignore_value) {
    if (arguments.size() > 1)
      request.set_value(arguments[1]);
    else
      request.set_value(std::string(std::istreambuf_iterator<char>(in), {}));
  }
  request.set_lease(*lease);
  request.set_prev_kv(flags.boolean("prev-kv"));
  request.set_ignore_value(ignore_value);
  request.set_ignore_lease(flags.boolean("ignore-lease"));
  return request;
}

Outcome<pb::DeleteRangeRequest> delete_request(const Flags& flags, std::ostream& err) {
  const auto& arguments = flags.arguments();
  if (arguments.size() > 2)
    return fail(kBadArgs, "del command needs one argument as key and an optional argument as range_end");
  pb::DeleteRangeRequest request;
  if (auto ok = set_interval(flags, "del", *request.mutable_key(), *request.mutable_range_end()); !ok)
    return std::unexpected(ok.error());
  request.set_prev_kv(flags.boolean("prev-kv"));
  if (arguments.size() > 1 && !flags.boolean("range")) {
    err << "Warning: Keys between " << go_quote(arguments[0]) << " and " << go_quote(arguments[1])
        << " will be deleted. Please interrupt the command within next 2 seconds to cancel. You can provide `--range` "
           "flag to avoid the delay.\n";
    err.flush();
    std::this_thread::sleep_for(std::chrono::seconds(2));
  }
  return request;
}

}  // namespace etcdpp::ctl

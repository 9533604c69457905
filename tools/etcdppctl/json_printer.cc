#include <ostream>

#include "go_text.h"
#include "message_json.h"
#include "printer.h"

namespace etcdpp::ctl {
namespace {

namespace pb = etcdserverpb;

/// A JSON object being written, member by member.
class Object {
 public:
  Object& text(const char* name, const std::string& value) { return raw(name, json_quote(value)); }
  Object& number(const char* name, std::int64_t value) { return raw(name, std::to_string(value)); }
  Object& boolean(const char* name, bool value) { return raw(name, value ? "true" : "false"); }
  Object& raw(const char* name, const std::string& json) {
    text_ += (text_.size() > 1 ? ",\"" : "\"") + std::string(name) + "\":" + json;
    return *this;
  }
  std::string str() const { return text_ + "}"; }

 private:
  std::string text_ = "{";
};

template <class Items, class ToJson>
std::string array(const Items& items, ToJson to_json) {
  std::string out = "[";
  bool first = true;
  for (const auto& item : items) {
    if (!first) out += ',';
    first = false;
    out += to_json(item);
  }
  return out + "]";
}

/// One line of JSON per response, in the shape of Go's encoding/json of etcd's structs.
class JsonPrinter final : public Printer {
 public:
  explicit JsonPrinter(Style style) : Printer(style, "json") {}

  Outcome<> put(const pb::PutResponse& response) override { return message(response); }
  Outcome<> range(const pb::RangeResponse& response, RangeView) override { return message(response); }
  Outcome<> delete_range(const pb::DeleteRangeResponse& response) override { return message(response); }
  Outcome<> txn(const pb::TxnResponse& response) override { return message(response); }
  Outcome<> revoke(std::int64_t, const pb::LeaseRevokeResponse& response) override { return message(response); }
  Outcome<> alarms(const pb::AlarmResponse& response) override { return message(response); }

  Outcome<> member_list(const pb::MemberListResponse& response) override {
    return line(message_json(response, hex() ? IdStyle::kHexString : IdStyle::kNumber));
  }

  // What follows are structs of etcd's client, not messages: their names and their zeros differ.

  Outcome<> watch(const pb::WatchResponse& response) override {
    Object object;
    object.raw("Header", message_json(response.header()));
    object.raw("Events", response.events().empty() ? "null" : array(response.events(), [](const auto& event) {
                 return message_json(event);
               }));
    object.number("CompactRevision", response.compact_revision());
    object.boolean("Canceled", response.canceled());
    object.boolean("Created", response.created());
    object.text("CancelReason", response.cancel_reason());
    return line(object.str());
  }

  Outcome<> grant(const pb::LeaseGrantResponse& response) override {
    return line(with_header(response.header())
                    .number("ID", response.id())
                    .number("TTL", response.ttl())
                    .text("Error", response.error())
                    .str());
  }

  Outcome<> time_to_live(const pb::LeaseTimeToLiveResponse& response, bool) override {
    const std::string keys = response.keys().empty()
                                 ? "null"
                                 : array(response.keys(), [](const auto& key) { return '"' + base64(key) + '"'; });
    return line(with_header(response.header())
                    .number("id", response.id())
                    .number("ttl", response.ttl())
                    .number("granted-ttl", response.grantedttl())
                    .raw("keys", keys)
                    .str());
  }

  Outcome<> keep_alive(const pb::LeaseKeepAliveResponse& response) override {
    return line(with_header(response.header()).number("ID", response.id()).number("TTL", response.ttl()).str());
  }

  Outcome<> leases(const pb::LeaseLeasesResponse& response) override {
    const auto lease_json = [](const pb::LeaseStatus& lease) { return Object().number("id", lease.id()).str(); };
    return line(with_header(response.header()).raw("leases", array(response.leases(), lease_json)).str());
  }

  Outcome<> health(const std::vector<EndpointHealth>& endpoints) override {
    return line(array(endpoints, [](const EndpointHealth& health) {
      Object object;
      object.text("endpoint", health.endpoint).boolean("health", health.healthy).text("took", go_duration(health.took));
      if (!health.error.empty()) object.text("error", health.error);
      return object.str();
    }));
  }

  Outcome<> status(const std::vector<EndpointStatus>& endpoints) override {
    if (endpoints.empty()) return line("null");
    return line(array(endpoints, [](const EndpointStatus& status) {
      return Object().text("Endpoint", status.endpoint).raw("Status", message_json(status.status)).str();
    }));
  }

  Outcome<> hash_kv(const std::vector<EndpointHashKv>& endpoints) override {
    if (endpoints.empty()) return line("null");
    return line(array(endpoints, [](const EndpointHashKv& hash) {
      return Object().text("Endpoint", hash.endpoint).raw("HashKV", message_json(hash.hash)).str();
    }));
  }

 private:
  /// The header's members, inlined: zeros left out.
  static Object with_header(const pb::ResponseHeader& header) {
    Object object;
    if (header.cluster_id()) object.raw("cluster_id", std::to_string(header.cluster_id()));
    if (header.member_id()) object.raw("member_id", std::to_string(header.member_id()));
    if (header.revision()) object.number("revision", header.revision());
    if (header.raft_term()) object.raw("raft_term", std::to_string(header.raft_term()));
    return object;
  }

  Outcome<> message(const google::protobuf::Message& response) { return line(message_json(response)); }

  Outcome<> line(const std::string& json) {
    out() << json << '\n';
    return {};
  }
};

}  // namespace

std::unique_ptr<Printer> make_json_printer(Printer::Style style) {
  return std::make_unique<JsonPrinter>(style);
}

}  // namespace etcdpp::ctl

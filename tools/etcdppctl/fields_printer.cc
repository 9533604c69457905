#include <ostream>

#include "go_text.h"
#include "printer.h"

namespace etcdpp::ctl {
namespace {

namespace pb = etcdserverpb;

/// `"Name" : value`, one field a line.
class FieldsPrinter final : public Printer {
 public:
  explicit FieldsPrinter(Style style) : Printer(style, "fields") {}

  Outcome<> put(const pb::PutResponse& response) override {
    header(response.header());
    if (response.has_prev_kv()) pair("Prev", response.prev_kv());
    return {};
  }

  Outcome<> range(const pb::RangeResponse& response, RangeView) override {
    header(response.header());
    for (const auto& kv : response.kvs()) pair("", kv);
    boolean("More", response.more());
    number("Count", response.count());
    return {};
  }

  Outcome<> delete_range(const pb::DeleteRangeResponse& response) override {
    header(response.header());
    number("Deleted", response.deleted());
    for (const auto& kv : response.prev_kvs()) pair("Prev", kv);
    return {};
  }

  Outcome<> txn(const pb::TxnResponse& response) override {
    header(response.header());
    boolean("Succeeded", response.succeeded());
    for (const auto& op : response.responses()) {
      Outcome<> done;
      switch (op.response_case()) {
        case pb::ResponseOp::kResponsePut:
          done = put(op.response_put());
          break;
        case pb::ResponseOp::kResponseRange:
          done = range(op.response_range(), RangeView::kPairs);
          break;
        case pb::ResponseOp::kResponseDeleteRange:
          done = delete_range(op.response_delete_range());
          break;
        case pb::ResponseOp::kResponseTxn:
          done = txn(op.response_txn());
          break;
        case pb::ResponseOp::RESPONSE_NOT_SET:
          break;
      }
      if (!done) return done;
    }
    return {};
  }

  Outcome<> watch(const pb::WatchResponse& response) override {
    header(response.header());
    for (const auto& event : response.events()) {
      out() << "\"Type\" : " << event_name(event) << '\n';
      if (event.has_prev_kv()) pair("Prev", event.prev_kv());
      pair("", event.kv());
    }
    return {};
  }

  Outcome<> grant(const pb::LeaseGrantResponse& response) override {
    header(response.header());
    number("ID", response.id());
    number("TTL", response.ttl());
    return {};
  }

  Outcome<> revoke(std::int64_t, const pb::LeaseRevokeResponse& response) override {
    header(response.header());
    return {};
  }

  Outcome<> time_to_live(const pb::LeaseTimeToLiveResponse& response, bool) override {
    header(response.header());
    number("ID", response.id());
    number("TTL", response.ttl());
    number("GrantedTTL", response.grantedttl());
    for (const auto& key : response.keys()) text("Key", key);
    return {};
  }

  Outcome<> keep_alive(const pb::LeaseKeepAliveResponse& response) override {
    header(response.header());
    number("ID", response.id());
    number("TTL", response.ttl());
    return {};
  }

  Outcome<> leases(const pb::LeaseLeasesResponse& response) override {
    header(response.header());
    for (const auto& lease : response.leases()) number("ID", lease.id());
    return {};
  }

  Outcome<> member_list(const pb::MemberListResponse& response) override {
    header(response.header());
    for (const auto& member : response.members()) {
      id("ID", member.id());
      text("Name", member.name());
      for (const auto& url : member.peerurls()) text("PeerURL", url);
      for (const auto& url : member.clienturls()) text("ClientURL", url);
      boolean("IsLearner", member.islearner());
      out() << '\n';
    }
    return {};
  }

  Outcome<> alarms(const pb::AlarmResponse& response) override {
    header(response.header());
    for (const auto& alarm : response.alarms()) {
      id("MemberID", alarm.memberid());
      out() << "\"AlarmType\" : " << alarm_name(alarm.alarm()) << '\n' << '\n';
    }
    return {};
  }

  Outcome<> health(const std::vector<EndpointHealth>& endpoints) override {
    for (const auto& health : endpoints) {
      text("Endpoint", health.endpoint);
      boolean("Health", health.healthy);
      out() << "\"Took\" : " << go_duration(health.took) << "\n\"Error\" : " << health.error << "\n\n";
    }
    return {};
  }

  Outcome<> status(const std::vector<EndpointStatus>& endpoints) override {
    for (const auto& [endpoint, status] : endpoints) {
      header(status.header());
      text("Version", status.version());
      text("StorageVersion", status.storageversion());
      number("DBSize", status.dbsize());
      number("DBSizeInUse", status.dbsizeinuse());
      number("DBSizeQuota", status.dbsizequota());
      number("Leader", status.leader());
      boolean("IsLearner", status.islearner());
      number("RaftIndex", status.raftindex());
      number("RaftTerm", status.raftterm());
      number("RaftAppliedIndex", status.raftappliedindex());
      out() << "\"Errors\" : [";
      for (int i = 0; i < status.errors_size(); ++i) out() << (i ? " " : "") << status.errors(i);
      out() << "]\n";
      text("Endpoint", endpoint);
      text("DowngradeTargetVersion", status.downgradeinfo().targetversion());
      boolean("DowngradeEnabled", status.downgradeinfo().enabled());
      out() << '\n';
    }
    return {};
  }

  Outcome<> hash_kv(const std::vector<EndpointHashKv>& endpoints) override {
    for (const auto& [endpoint, hash] : endpoints) {
      header(hash.header());
      text("Endpoint", endpoint);
      number("Hash", hash.hash());
      number("HashRevision", hash.hash_revision());
      out() << '\n';
    }
    return {};
  }

 private:
  void header(const pb::ResponseHeader& header) {
    id("ClusterID", header.cluster_id());
    id("MemberID", header.member_id());
    // Answers about membership are of no revision.
    if (header.revision() != 0) number("Revision", header.revision());
    number("RaftTerm", header.raft_term());
  }

  void pair(const std::string& prefix, const mvccpb::KeyValue& kv) {
    text(prefix + "Key", kv.key());
    number(prefix + "CreateRevision", kv.create_revision());
    number(prefix + "ModRevision", kv.mod_revision());
    number(prefix + "Version", kv.version());
    text(prefix + "Value", kv.value());
    if (hex()) {
      out() << '"' << prefix << "Lease\" : " << hex16(static_cast<std::uint64_t>(kv.lease())) << '\n';
    } else {
      number(prefix + "Lease", kv.lease());
    }
  }

  void text(std::string_view name, std::string_view value) {
    out() << '"' << name << "\" : " << go_quote(value) << '\n';
  }
  template <class Number>
  void number(std::string_view name, Number value) {
    out() << '"' << name << "\" : " << value << '\n';
  }
  void boolean(std::string_view name, bool value) {
    out() << '"' << name << "\" : " << (value ? "true" : "false") << '\n';
  }
  void id(std::string_view name, std::uint64_t value) {
    out() << '"' << name << "\" : ";
    if (hex())
      out() << etcdpp::ctl::hex16(value) << '\n';
    else
      out() << value << '\n';
  }
};

}  // namespace

std::unique_ptr<Printer> make_fields_printer(Printer::Style style) {
  return std::make_unique<FieldsPrinter>(style);
}

}  // namespace etcdpp::ctl

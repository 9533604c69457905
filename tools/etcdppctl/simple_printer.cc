#include <ostream>

#include "go_text.h"
#include "printer.h"

namespace etcdpp::ctl {
namespace {

namespace pb = etcdserverpb;

/// Lines for people and for shell scripts.
class SimplePrinter final : public Printer {
 public:
  explicit SimplePrinter(Style style) : Printer(style, "simple") {}

  Outcome<> put(const pb::PutResponse& response) override {
    out() << "OK\n";
    if (response.has_prev_kv()) pair(response.prev_kv());
    return {};
  }

  Outcome<> range(const pb::RangeResponse& response, RangeView view) override {
    for (const auto& kv : response.kvs()) {
      if (view == RangeView::kPairs) line(kv.key());
      line(kv.value());
    }
    return {};
  }

  Outcome<> delete_range(const pb::DeleteRangeResponse& response) override {
    out() << response.deleted() << '\n';
    for (const auto& kv : response.prev_kvs()) pair(kv);
    return {};
  }

  Outcome<> txn(const pb::TxnResponse& response) override {
    out() << (response.succeeded() ? "SUCCESS\n" : "FAILURE\n");
    for (const auto& op : response.responses()) {
      out() << '\n';
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
    for (const auto& event : response.events()) {
      const char* tint = event.type() == mvccpb::Event::DELETE ? "\x1b[31m" : "\x1b[32m";
      out() << (color() ? tint : "") << event_name(event) << (color() ? "\x1b[0m\n" : "\n");
      if (event.has_prev_kv()) pair(event.prev_kv());
      pair(event.kv());
    }
    return {};
  }

  Outcome<> grant(const pb::LeaseGrantResponse& response) override {
    out() << "lease " << id(response.id()) << " granted with TTL(" << response.ttl() << "s)\n";
    return {};
  }

  Outcome<> revoke(std::int64_t lease, const pb::LeaseRevokeResponse&) override {
    out() << "lease " << id(lease) << " revoked\n";
    return {};
  }

  Outcome<> time_to_live(const pb::LeaseTimeToLiveResponse& response, bool keys) override {
    if (response.grantedttl() == 0 && response.ttl() == -1) {
      out() << "lease " << id(response.id()) << " already expired\n";
      return {};
    }
    out() << "lease " << id(response.id()) << " granted with TTL(" << response.grantedttl() << "s), remaining("
          << response.ttl() << "s)";
    if (keys) {
      out() << ", attached keys([";
      for (int i = 0; i < response.keys_size(); ++i) out() << (i ? " " : "") << response.keys(i);
      out() << "])";
    }
    out() << '\n';
    return {};
  }

  Outcome<> keep_alive(const pb::LeaseKeepAliveResponse& response) override {
    out() << "lease " << id(response.id()) << " keepalived with TTL(" << response.ttl() << ")\n";
    return {};
  }

  Outcome<> leases(const pb::LeaseLeasesResponse& response) override {
    out() << "found " << response.leases_size() << " leases\n";
    for (const auto& lease : response.leases()) out() << id(lease.id()) << '\n';
    return {};
  }

  Outcome<> member_list(const pb::MemberListResponse& response) override {
    rows(member_rows(response));
    return {};
  }

  Outcome<> alarms(const pb::AlarmResponse& response) override {
    for (const auto& alarm : response.alarms())
      out() << "memberID:" << alarm.memberid() << " alarm:" << alarm_name(alarm.alarm()) << '\n';
    return {};
  }

  Outcome<> health(const std::vector<EndpointHealth>& endpoints) override {
    for (const auto& health : endpoints) {
      if (health.healthy) {
        out() << health.endpoint << " is healthy: successfully committed proposal: took = " << go_duration(health.took)
              << '\n';
      } else {
        err() << health.endpoint << " is unhealthy: failed to commit proposal: " << health.error << '\n';
      }
    }
    return {};
  }

  Outcome<> status(const std::vector<EndpointStatus>& endpoints) override {
    rows(status_rows(endpoints));
    return {};
  }

  Outcome<> hash_kv(const std::vector<EndpointHashKv>& endpoints) override {
    rows(hash_kv_rows(endpoints));
    return {};
  }

 private:
  static std::string id(std::int64_t lease) { return hex16(static_cast<std::uint64_t>(lease)); }

  void line(const std::string& bytes) { out() << (hex() ? hex_escape(bytes) : bytes) << '\n'; }

  void pair(const mvccpb::KeyValue& kv) {
    line(kv.key());
    line(kv.value());
  }

  void rows(const std::vector<std::vector<std::string>>& cells) {
    for (const auto& row : cells) {
      for (std::size_t i = 0; i < row.size(); ++i) out() << (i ? ", " : "") << row[i];
      out() << '\n';
    }
  }
};

}  // namespace

std::unique_ptr<Printer> make_simple_printer(Printer::Style style) {
  return std::make_unique<SimplePrinter>(style);
}

}  // namespace etcdpp::ctl

#include <ostream>

#include "printer.h"

namespace etcdpp::ctl {
namespace {

namespace pb = etcdserverpb;

/// The bytes of the response, nothing around them.
class ProtobufPrinter final : public Printer {
 public:
  explicit ProtobufPrinter(Style style) : Printer(style, "protobuf") {}

  Outcome<> put(const pb::PutResponse& response) override { return bytes(response); }
  Outcome<> range(const pb::RangeResponse& response, RangeView) override { return bytes(response); }
  Outcome<> delete_range(const pb::DeleteRangeResponse& response) override { return bytes(response); }
  Outcome<> txn(const pb::TxnResponse& response) override { return bytes(response); }
  Outcome<> watch(const pb::WatchResponse& response) override {
    pb::WatchResponse copy = response;
    copy.clear_watch_id();  // ours, not the server's
    return bytes(copy);
  }
  Outcome<> grant(const pb::LeaseGrantResponse& response) override { return bytes(response); }
  Outcome<> revoke(std::int64_t, const pb::LeaseRevokeResponse& response) override { return bytes(response); }
  Outcome<> time_to_live(const pb::LeaseTimeToLiveResponse& response, bool) override { return bytes(response); }
  Outcome<> keep_alive(const pb::LeaseKeepAliveResponse& response) override { return bytes(response); }
  Outcome<> leases(const pb::LeaseLeasesResponse& response) override { return bytes(response); }
  Outcome<> member_list(const pb::MemberListResponse& response) override { return bytes(response); }
  Outcome<> alarms(const pb::AlarmResponse& response) override { return bytes(response); }

 private:
  Outcome<> bytes(const google::protobuf::Message& message) {
    out() << message.SerializeAsString();
    return {};
  }
};

}  // namespace

std::unique_ptr<Printer> make_protobuf_printer(Printer::Style style) {
  return std::make_unique<ProtobufPrinter>(style);
}

}  // namespace etcdpp::ctl

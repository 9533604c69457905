#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <etcdserverpb/rpc.pb.h>

#include "failure.h"

namespace etcdpp::ctl {

struct EndpointHealth {
  std::string endpoint;
  bool healthy = false;
  std::chrono::nanoseconds took{0};
  std::string error;
};

struct EndpointStatus {
  std::string endpoint;
  etcdserverpb::StatusResponse status;
};

struct EndpointHashKv {
  std::string endpoint;
  etcdserverpb::HashKVResponse hash;
};

/// Whether `get` shows pairs or only values.
enum class RangeView { kPairs, kValuesOnly };

/// One of etcdctl's output formats (-w). What a format does not know is refused with exit code 4 and its name.
///
/// Writes to the stream it was made with; the caller flushes.
class Printer {
 public:
  struct Style {
    std::ostream& out;
    std::ostream& err;  ///< what simple says of unhealthy endpoints
    bool hex = false;
    bool color = false;
  };

  explicit Printer(Style style, const char* name) : style_(style), name_(name) {}
  virtual ~Printer() = default;

  const char* name() const { return name_; }

  virtual Outcome<> put(const etcdserverpb::PutResponse&) { return unsupported(); }
  virtual Outcome<> range(const etcdserverpb::RangeResponse&, RangeView) { return unsupported(); }
  virtual Outcome<> delete_range(const etcdserverpb::DeleteRangeResponse&) { return unsupported(); }
  virtual Outcome<> txn(const etcdserverpb::TxnResponse&) { return unsupported(); }
  virtual Outcome<> watch(const etcdserverpb::WatchResponse&) { return unsupported(); }

  virtual Outcome<> grant(const etcdserverpb::LeaseGrantResponse&) { return unsupported(); }
  virtual Outcome<> revoke(std::int64_t /*id*/, const etcdserverpb::LeaseRevokeResponse&) { return unsupported(); }
  virtual Outcome<> time_to_live(const etcdserverpb::LeaseTimeToLiveResponse&, bool /*keys*/) { return unsupported(); }
  virtual Outcome<> keep_alive(const etcdserverpb::LeaseKeepAliveResponse&) { return unsupported(); }
  virtual Outcome<> leases(const etcdserverpb::LeaseLeasesResponse&) { return unsupported(); }

  virtual Outcome<> member_list(const etcdserverpb::MemberListResponse&) { return unsupported(); }
  virtual Outcome<> alarms(const etcdserverpb::AlarmResponse&) { return unsupported(); }

  virtual Outcome<> health(const std::vector<EndpointHealth>&) { return unsupported(); }
  virtual Outcome<> status(const std::vector<EndpointStatus>&) { return unsupported(); }
  virtual Outcome<> hash_kv(const std::vector<EndpointHashKv>&) { return unsupported(); }

 protected:
  std::unexpected<Failure> unsupported() const {
    return fail(kBadFeature, std::string(name_) + " not supported as output format");
  }
  std::ostream& out() { return style_.out; }
  std::ostream& err() { return style_.err; }
  bool hex() const { return style_.hex; }
  bool color() const { return style_.color; }

 private:
  Style style_;
  const char* name_;
};

std::unique_ptr<Printer> make_simple_printer(Printer::Style style);
std::unique_ptr<Printer> make_json_printer(Printer::Style style);
std::unique_ptr<Printer> make_fields_printer(Printer::Style style);
std::unique_ptr<Printer> make_table_printer(Printer::Style style);
std::unique_ptr<Printer> make_protobuf_printer(Printer::Style style);

/// The printer of a format; null if there is no such format.
std::unique_ptr<Printer> make_printer(std::string_view format, Printer::Style style);

/// An event's name as etcdctl writes it: "PUT" or "DELETE".
const char* event_name(const mvccpb::Event& event);
/// An alarm's name: "NOSPACE".
const char* alarm_name(etcdserverpb::AlarmType alarm);

/// The columns of `member list` and `endpoint`, as simple and table print them.
std::vector<std::vector<std::string>> member_rows(const etcdserverpb::MemberListResponse& response);
std::vector<std::vector<std::string>> status_rows(const std::vector<EndpointStatus>& endpoints);
std::vector<std::vector<std::string>> hash_kv_rows(const std::vector<EndpointHashKv>& endpoints);

}  // namespace etcdpp::ctl

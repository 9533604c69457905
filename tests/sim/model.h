#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <etcdserverpb/raft_internal.pb.h>
#include <etcdserverpb/rpc.pb.h>
#include <mvccpb/kv.pb.h>

namespace etcdpp::sim {

/// The meaning of every request, written as plainly as can be: maps, whole histories, no index, no buffers, nothing on
/// disk. It is given the entries of the log in order and says what each must answer and what the store must hold.
///
/// Shares no code with mvcc, lease or server but the messages and the error codes.
class Model {
 public:
  explicit Model(std::int64_t min_ttl_seconds) : min_ttl_(min_ttl_seconds) {}

  /// What a request is answered with: the response's bytes, or an error.
  struct Outcome {
    std::error_code error;
    std::string response;
  };
  Outcome apply(const etcdserverpb::InternalRaftRequest& request);

  std::int64_t revision() const { return revision_; }
  /// -1: never compacted.
  std::int64_t compact_revision() const { return compact_revision_; }
  /// Whether some compaction was to this very revision.
  bool compacted_to(std::int64_t revision) const { return compactions_.contains(revision); }
  /// The live keys of [key, range_end) (as in a request) at a revision; compaction is not considered.
  std::vector<mvccpb::KeyValue> range(std::string_view key, std::string_view range_end, std::int64_t at) const;

  /// HashKV of `revision` behind a compaction to `compacted`, which is also what the job of a compaction from `compacted`
  /// to `revision` hashes. None where no key is kept: then rows that a compaction has yet to delete count.
  std::optional<std::uint32_t> hash(std::int64_t compacted, std::int64_t revision) const;

  /// What a watcher of the range is to be sent of revisions from `from` to below `to`, compaction not considered.
  std::vector<mvccpb::Event> events(std::string_view key, std::string_view range_end, std::int64_t from, std::int64_t to) const;

  struct Lease {
    std::int64_t ttl_seconds = 0;
    std::set<std::string> keys;
  };
  const std::map<std::int64_t, Lease>& leases() const { return leases_; }

 private:
  /// A key after one change; a tombstone has no key_value.
  struct Version {
    std::int64_t revision;
    std::optional<mvccpb::KeyValue> key_value;
    std::int64_t sub = 0;
  };
  struct Change {
    std::int64_t begin;
    std::int64_t changes = 0;
    std::int64_t revision() const { return changes > 0 ? begin + 1 : begin; }
  };

  template <typename Response>
  Outcome answer(const Response& response) const;
  const mvccpb::KeyValue* live(const std::string& key) const;
  std::error_code check(const etcdserverpb::PutRequest& request) const;
  std::error_code check(const etcdserverpb::TxnRequest& request) const;
  bool holds(const etcdserverpb::TxnRequest& request, std::int64_t at) const;
  void put(const etcdserverpb::PutRequest& request, Change& change, etcdserverpb::PutResponse& response);
  void erase(const std::string& key, Change& change);
  void erase(const etcdserverpb::DeleteRangeRequest& request, Change& change, etcdserverpb::DeleteRangeResponse& response);
  void read(const etcdserverpb::RangeRequest& request, const Change& change, etcdserverpb::RangeResponse& response) const;
  void run(const etcdserverpb::TxnRequest& request, std::int64_t before, Change& change, etcdserverpb::TxnResponse& response);

  Outcome apply(const etcdserverpb::PutRequest& request);
  Outcome apply(const etcdserverpb::DeleteRangeRequest& request);
  Outcome apply(const etcdserverpb::TxnRequest& request);
  Outcome apply(const etcdserverpb::CompactionRequest& request);
  Outcome apply(const etcdserverpb::LeaseGrantRequest& request);
  Outcome apply(const etcdserverpb::LeaseRevokeRequest& request);

  const std::int64_t min_ttl_;
  std::int64_t revision_ = 1;
  std::int64_t compact_revision_ = -1;
  std::set<std::int64_t> compactions_;
  std::map<std::string, std::vector<Version>> keys_;
  std::map<std::int64_t, Lease> leases_;
};

}  // namespace etcdpp::sim

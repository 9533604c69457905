#include "model.h"

#include <algorithm>

#include <etcdpp/base/crc32c.h>
#include <etcdpp/lease/errc.h>
#include <etcdpp/mvcc/errc.h>

#include <errc.h>

namespace etcdpp::sim {

using etcdserverpb::Compare;
using mvccpb::KeyValue;

namespace {

bool in_range(const std::string& candidate, std::string_view key, std::string_view range_end) {
  if (range_end.empty()) return candidate == key;
  if (range_end == std::string_view("\0", 1)) return candidate >= key;
  return candidate >= key && candidate < range_end;
}

template <typename T>
bool compares(Compare::CompareResult wanted, const T& have, const T& given) {
  switch (wanted) {
    case Compare::EQUAL: return have == given;
    case Compare::NOT_EQUAL: return have != given;
    case Compare::GREATER: return have > given;
    case Compare::LESS: return have < given;
    default: return true;
  }
}

bool compares(const Compare& c, const KeyValue& kv) {
  switch (c.target()) {
    case Compare::VALUE: return compares(c.result(), kv.value(), c.value());
    case Compare::CREATE: return compares(c.result(), kv.create_revision(), c.create_revision());
    case Compare::MOD: return compares(c.result(), kv.mod_revision(), c.mod_revision());
    case Compare::VERSION: return compares(c.result(), kv.version(), c.version());
    case Compare::LEASE: return compares(c.result(), kv.lease(), c.lease());
    default: return true;
  }
}

}  // namespace

Model::Outcome Model::apply(const etcdserverpb::InternalRaftRequest& request) {
  if (request.has_put()) return apply(request.put());
  if (request.has_delete_range()) return apply(request.delete_range());
  if (request.has_txn()) return apply(request.txn());
  if (request.has_compaction()) return apply(request.compaction());
  if (request.has_lease_grant()) return apply(request.lease_grant());
  if (request.has_lease_revoke()) return apply(request.lease_revoke());
  return {};  // the cluster's own entries touch no key
}

template <typename Response>
Model::Outcome Model::answer(const Response& response) const {
  return {{}, response.SerializeAsString()};
}

const KeyValue* Model::live(const std::string& key) const {
  const auto it = keys_.find(key);
  if (it == keys_.end() || !it->second.back().key_value) return nullptr;
  return &*it->second.back().key_value;
}

std::vector<KeyValue> Model::range(std::string_view key, std::string_view range_end, std::int64_t at) const {
  std::vector<KeyValue> rows;
  for (auto it = keys_.lower_bound(std::string(key)); it != keys_.end(); ++it) {
    if (!in_range(it->first, key, range_end)) break;
    const Version* seen = nullptr;
    for (const Version& version : it->second)
      if (version.revision <= at) seen = &version;
    if (seen && seen->key_value) rows.push_back(*seen->key_value);
  }
  return rows;
}

std::vector<mvccpb::Event> Model::events(std::string_view key, std::string_view range_end, std::int64_t from, std::int64_t to) const {
  std::map<std::pair<std::int64_t, std::int64_t>, mvccpb::Event> events;
  for (auto it = keys_.lower_bound(std::string(key)); it != keys_.end() && in_range(it->first, key, range_end); ++it) {
    // As it was one revision before, whatever else the same revision did to it.
    const Version* last = nullptr;
    const KeyValue* before = nullptr;
    for (const Version& version : it->second) {
      if (last && last->revision < version.revision) before = last->key_value ? &*last->key_value : nullptr;
      last = &version;
      if (version.revision >= from && version.revision < to) {
        mvccpb::Event& event = events[{version.revision, version.sub}];
        if (version.key_value) {
          *event.mutable_kv() = *version.key_value;
        } else {
          event.set_type(mvccpb::Event::DELETE);
          event.mutable_kv()->set_key(it->first);
          event.mutable_kv()->set_mod_revision(version.revision);
        }
        if (before) *event.mutable_prev_kv() = *before;
      }
    }
  }
  std::vector<mvccpb::Event> ordered;
  for (auto& [revision, event] : events) ordered.push_back(std::move(event));
  return ordered;
}

// etcd's rule, told from all that ever was: rows above `compacted` all count, of the others what stays visible at `revision`.
std::optional<std::uint32_t> Model::hash(std::int64_t compacted, std::int64_t revision) const {
  std::map<std::pair<std::int64_t, std::int64_t>, std::pair<std::string, std::string>> rows;
  bool keeps_any = false;
  for (const auto& [key, versions] : keys_) {
    const Version* kept = nullptr;
    bool ends_here = false;
    for (const Version& version : versions) {
      if (version.revision > revision) break;
      kept = &version;
      // etcd keeps nothing of a key that the revision itself deletes, even if it puts it again.
      ends_here |= version.revision == revision && !version.key_value;
    }
    if (!kept) continue;
    if (ends_here || !kept->key_value) kept = nullptr;
    keeps_any |= kept != nullptr;
    for (const Version& version : versions) {
      if (version.revision > revision) break;
      if (version.revision <= compacted && &version != kept) continue;
      std::string row;
      for (const std::int64_t n : {version.revision, version.sub}) {
        if (!row.empty()) row += '_';
        for (int shift = 56; shift >= 0; shift -= 8) row += static_cast<char>(n >> shift);
      }
      KeyValue value;
      if (version.key_value) value = *version.key_value;
      else value.set_key(key), row += 't';
      rows[{version.revision, version.sub}] = {std::move(row), value.SerializeAsString()};
    }
  }
  if (!keeps_any) return std::nullopt;
  std::uint32_t crc = base::crc32c(0, "key");
  for (const auto& [place, row] : rows) crc = base::crc32c(base::crc32c(crc, row.first), row.second);
  return crc;
}

std::error_code Model::check(const etcdserverpb::PutRequest& request) const {
  if ((request.ignore_value() || request.ignore_lease()) && !live(request.key())) return make_error_code(server::Errc::kKeyNotFound);
  if (request.lease() != 0 && !leases_.contains(request.lease())) return make_error_code(lease::Errc::kNotFound);
  return {};
}

void Model::put(const etcdserverpb::PutRequest& request, Change& change, etcdserverpb::PutResponse& response) {
  const KeyValue* before = live(request.key());
  if (request.prev_kv() && before) *response.mutable_prev_kv() = *before;
  KeyValue kv;
  kv.set_key(request.key());
  kv.set_create_revision(before ? before->create_revision() : change.begin + 1);
  kv.set_mod_revision(change.begin + 1);
  kv.set_version(before ? before->version() + 1 : 1);
  // A key that the same transaction has deleted has nothing to keep (etcd 3.7.1 panics here).
  kv.set_value(request.ignore_value() && before ? before->value() : request.value());
  kv.set_lease(request.ignore_lease() && before ? before->lease() : request.lease());
  if (before && before->lease() != 0) leases_.at(before->lease()).keys.erase(request.key());
  if (kv.lease() != 0) leases_.at(kv.lease()).keys.insert(request.key());
  keys_[request.key()].push_back({change.begin + 1, kv, change.changes++});
  response.mutable_header()->set_revision(change.revision());
}

void Model::erase(const std::string& key, Change& change) {
  const KeyValue* before = live(key);
  if (const auto lease = leases_.find(before->lease()); lease != leases_.end()) lease->second.keys.erase(key);
  keys_[key].push_back({change.begin + 1, std::nullopt, change.changes++});
}

void Model::erase(const etcdserverpb::DeleteRangeRequest& request, Change& change, etcdserverpb::DeleteRangeResponse& response) {
  const std::vector<KeyValue> rows = range(request.key(), request.range_end(), change.begin + 1);
  for (const KeyValue& row : rows) {
    if (request.prev_kv()) *response.add_prev_kvs() = row;
    erase(row.key(), change);
  }
  response.set_deleted(static_cast<std::int64_t>(rows.size()));
  response.mutable_header()->set_revision(change.revision());
}

void Model::read(const etcdserverpb::RangeRequest& request, const Change& change, etcdserverpb::RangeResponse& response) const {
  const std::vector<KeyValue> rows = range(request.key(), request.range_end(), change.begin + 1);
  for (const KeyValue& row : rows) *response.add_kvs() = row;
  response.set_count(static_cast<std::int64_t>(rows.size()));
  response.mutable_header()->set_revision(change.revision());
}

bool Model::holds(const etcdserverpb::TxnRequest& request, std::int64_t at) const {
  return std::ranges::all_of(request.compare(), [&](const Compare& c) {
    const std::vector<KeyValue> rows = range(c.key(), c.range_end(), at);
    if (rows.empty()) return c.target() != Compare::VALUE && compares(c, KeyValue());
    return std::ranges::all_of(rows, [&](const KeyValue& row) { return compares(c, row); });
  });
}

std::error_code Model::check(const etcdserverpb::TxnRequest& request) const {
  for (const auto& op : holds(request, revision_) ? request.success() : request.failure()) {
    std::error_code error;
    if (op.has_request_put()) error = check(op.request_put());
    if (op.has_request_txn()) error = check(op.request_txn());
    if (error) return error;
  }
  return {};
}

void Model::run(const etcdserverpb::TxnRequest& request, std::int64_t before, Change& change, etcdserverpb::TxnResponse& response) {
  const bool succeeded = holds(request, before);
  response.set_succeeded(succeeded);
  for (const auto& op : succeeded ? request.success() : request.failure()) {
    auto& answer = *response.add_responses();
    if (op.has_request_range()) read(op.request_range(), change, *answer.mutable_response_range());
    if (op.has_request_put()) put(op.request_put(), change, *answer.mutable_response_put());
    if (op.has_request_delete_range()) erase(op.request_delete_range(), change, *answer.mutable_response_delete_range());
    if (op.has_request_txn()) {
      answer.mutable_response_txn()->mutable_header();
      run(op.request_txn(), before, change, *answer.mutable_response_txn());
    }
  }
}

Model::Outcome Model::apply(const etcdserverpb::PutRequest& request) {
  if (const auto error = check(request)) return {error, {}};
  Change change{revision_};
  etcdserverpb::PutResponse response;
  put(request, change, response);
  revision_ = change.revision();
  return answer(response);
}

Model::Outcome Model::apply(const etcdserverpb::DeleteRangeRequest& request) {
  Change change{revision_};
  etcdserverpb::DeleteRangeResponse response;
  erase(request, change, response);
  revision_ = change.revision();
  return answer(response);
}

Model::Outcome Model::apply(const etcdserverpb::TxnRequest& request) {
  if (const auto error = check(request)) return {error, {}};
  const std::int64_t before = revision_;
  Change change{revision_};
  etcdserverpb::TxnResponse response;
  run(request, before, change, response);
  revision_ = change.revision();
  response.mutable_header()->set_revision(revision_);
  return answer(response);
}

Model::Outcome Model::apply(const etcdserverpb::CompactionRequest& request) {
  if (request.revision() <= compact_revision_) return {make_error_code(mvcc::Errc::kCompacted), {}};
  if (request.revision() > revision_) return {make_error_code(mvcc::Errc::kFutureRevision), {}};
  compact_revision_ = request.revision();
  compactions_.insert(compact_revision_);
  etcdserverpb::CompactionResponse response;
  response.mutable_header()->set_revision(revision_);
  return answer(response);
}

Model::Outcome Model::apply(const etcdserverpb::LeaseGrantRequest& request) {
  if (leases_.contains(request.id())) return {make_error_code(lease::Errc::kAlreadyExists), {}};
  Lease& lease = leases_[request.id()];
  lease.ttl_seconds = std::max(request.ttl(), min_ttl_);
  etcdserverpb::LeaseGrantResponse response;
  response.set_id(request.id());
  response.set_ttl(lease.ttl_seconds);
  response.mutable_header()->set_revision(revision_);
  return answer(response);
}

Model::Outcome Model::apply(const etcdserverpb::LeaseRevokeRequest& request) {
  const auto lease = leases_.find(request.id());
  if (lease == leases_.end()) return {make_error_code(lease::Errc::kNotFound), {}};
  Change change{revision_};
  const std::set<std::string> keys = std::move(lease->second.keys);
  leases_.erase(lease);
  for (const std::string& key : keys) erase(key, change);
  revision_ = change.revision();
  etcdserverpb::LeaseRevokeResponse response;
  response.mutable_header()->set_revision(revision_);
  return answer(response);
}

}  // namespace etcdpp::sim

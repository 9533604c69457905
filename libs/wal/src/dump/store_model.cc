#include "store_model.h"

#include <algorithm>

#include <etcdpp/proto/wire.h>

namespace etcdpp::wal {

namespace {

enum RequestField : std::uint32_t {
  kRequestRange = 3,
  kRequestPut = 4,
  kRequestDeleteRange = 5,
  kRequestTxn = 6,
  kRequestCompaction = 7,
  kRequestLeaseGrant = 8,
  kRequestLeaseRevoke = 9,
  kRequestAlarm = 10,
};
enum OperationField : std::uint32_t { kOpRange = 1, kOpPut = 2, kOpDelete = 3, kOpTxn = 4 };

constexpr std::uint64_t kNoSpace = 1;
constexpr std::uint64_t kCorrupt = 2;

std::uint64_t number_field(base::BytesView body, std::uint32_t number) {
  std::uint64_t found = 0;
  proto::WireReader reader(body);
  while (reader.next())
    if (reader.number() == number && reader.is_varint()) found = reader.varint();
  return found;
}

// Calls `visit` with each operation of one branch, until it says no.
template <typename Visit>
bool each_operation(base::BytesView txn, bool success, const Visit& visit) {
  proto::WireReader reader(txn);
  while (reader.next()) {
    if (!reader.is_bytes() || reader.number() != (success ? 2u : 3u)) continue;
    proto::WireReader operation(reader.bytes());
    while (operation.next())
      if (operation.is_bytes() && !visit(operation.number(), operation.bytes())) return false;
  }
  return true;
}

}  // namespace

StoreModel::Put StoreModel::read_put(base::BytesView bytes) {
  Put put;
  proto::WireReader reader(bytes);
  while (reader.next()) {
    if (reader.is_bytes() && reader.number() == 1) put.key = reader.bytes();
    else if (reader.is_bytes() && reader.number() == 2) put.value = reader.bytes();
    else if (!reader.is_varint()) continue;
    else if (reader.number() == 3) put.lease = reader.varint();
    else if (reader.number() == 4) put.prev_kv = reader.varint() != 0;
    else if (reader.number() == 5) put.ignore_value = reader.varint() != 0;
    else if (reader.number() == 6) put.ignore_lease = reader.varint() != 0;
  }
  return put;
}

StoreModel::Range StoreModel::read_range(base::BytesView bytes, bool deletion) {
  Range range;
  proto::WireReader reader(bytes);
  while (reader.next()) {
    if (reader.is_bytes() && reader.number() == 1) range.key = reader.bytes();
    else if (reader.is_bytes() && reader.number() == 2) range.end = reader.bytes();
    else if (reader.is_varint() && !deletion && reader.number() == 4) range.revision = static_cast<std::int64_t>(reader.varint());
    else if (reader.is_varint() && deletion && reader.number() == 3) range.prev_kv = reader.varint() != 0;
  }
  return range;
}

std::pair<StoreModel::Keys::iterator, StoreModel::Keys::iterator> StoreModel::rows(base::BytesView key, base::BytesView end) {
  if (end.empty()) {
    const auto at = keys_.find(key);
    return {at, at == keys_.end() ? at : std::next(at)};
  }
  const auto first = keys_.lower_bound(key);
  if (end == base::BytesView("\0", 1)) return {first, keys_.end()};
  if (end <= key) return {first, first};
  return {first, keys_.lower_bound(end)};
}

std::string StoreModel::apply(const EntryView& entry) {
  if (!entry.request) return {};
  const auto has_alarm = [&](std::uint64_t type) {
    return std::any_of(alarms_.begin(), alarms_.end(), [&](const auto& alarm) { return alarm.second == type; });
  };
  const std::uint32_t request = entry.request->number;
  const bool of_keys = request >= kRequestRange && request <= kRequestLeaseRevoke;
  if (of_keys && has_alarm(kCorrupt)) return "etcdserver: corrupt cluster";
  if (has_alarm(kNoSpace) && (request == kRequestPut || request == kRequestLeaseGrant || (request == kRequestTxn && writes(entry.body)))) return "etcdserver: no space";
  if (request >= 1000 && request < 1300) return auth_.apply(entry);
  return apply_request(entry);
}

std::string StoreModel::apply_request(const EntryView& entry) {
  static const std::string kDenied = "auth: permission denied";
  begin();
  switch (entry.request->number) {
    case kRequestPut: {
      const Put request = read_put(entry.body);
      if (std::string refused = auth_.refuses(entry); !refused.empty()) return refused;
      if (!auth_.may(entry, true, request.key, {}) || (request.prev_kv && !auth_.may(entry, false, request.key, {}))) return kDenied;
      if (std::string refused = check_lease_permission(entry, request.lease); !refused.empty()) return refused;
      if (std::string refused = check_put(request); !refused.empty()) return refused;
      put(request);
      break;
    }
    case kRequestDeleteRange: {
      const Range request = read_range(entry.body, true);
      if (std::string refused = auth_.refuses(entry); !refused.empty()) return refused;
      if (!auth_.may(entry, true, request.key, request.end) || (request.prev_kv && !auth_.may(entry, false, request.key, request.end))) return kDenied;
      erase(request.key, request.end);
      break;
    }
    case kRequestTxn: {
      if (std::string refused = auth_.refuses(entry); !refused.empty()) return refused;
      if (!permits_txn(entry, entry.body, 0)) return kDenied;
      Path path;
      choose(entry.body, path, 0);
      std::size_t at = 0;
      if (std::string refused = check_txn(entry.body, path, at, 0); !refused.empty()) return refused;
      at = 0;
      run_txn(entry.body, path, at, 0);
      break;
    }
    case kRequestCompaction: {
      const auto revision = static_cast<std::int64_t>(number_field(entry.body, 1));
      if (revision <= compacted_) return "mvcc: required revision has been compacted";
      if (revision > revision_) return "mvcc: required revision is a future revision";
      compacted_ = revision;
      break;
    }
    case kRequestLeaseGrant: {
      const std::uint64_t id = number_field(entry.body, 2);
      if (!leases_.try_emplace(id).second) return "etcdserver: lease already exists";
      break;
    }
    case kRequestLeaseRevoke: return revoke(entry, number_field(entry.body, 1));
    case kRequestAlarm: return apply_alarm(entry.body);
    default: break;
  }
  end();
  return {};
}

std::string StoreModel::apply_alarm(base::BytesView body) {
  const std::uint64_t action = number_field(body, 1);
  const std::pair<std::uint64_t, std::uint64_t> alarm(number_field(body, 2), number_field(body, 3));
  if (action == 1 && alarm.second != 0) alarms_.insert(alarm);
  if (action == 2) alarms_.erase(alarm);
  return {};
}

std::string StoreModel::check_lease_permission(const EntryView& entry, std::uint64_t lease) const {
  if (lease == 0 || auth_.is_admin(entry.user)) return {};
  const auto found = leases_.find(lease);
  if (found == leases_.end()) return {};
  for (const std::string& key : found->second)
    if (!auth_.may(entry, true, key, {})) return "auth: permission denied";
  return {};
}

std::string StoreModel::revoke(const EntryView& entry, std::uint64_t lease) {
  if (std::string refused = check_lease_permission(entry, lease); !refused.empty()) return refused;
  const auto found = leases_.find(lease);
  if (found == leases_.end()) return "lease not found";
  const std::set<std::string> attached = std::move(found->second);
  leases_.erase(found);
  for (const std::string& key : attached) erase(key, {});
  end();
  return {};
}

std::string StoreModel::check_put(const Put& request) const {
  if (request.lease != 0 && !leases_.contains(request.lease)) return "etcdserver: requested lease not found";
  if ((request.ignore_value || request.ignore_lease) && !keys_.contains(request.key)) return "etcdserver: key not found";
  return {};
}

void StoreModel::put(const Put& request) {
  const std::int64_t main = revision_ + 1;
  const auto [at, is_new] = keys_.try_emplace(std::string(request.key));
  Value& value = at->second;
  const std::uint64_t lease = request.ignore_lease ? value.lease : request.lease;
  if (value.lease != lease) {
    if (const auto old = leases_.find(value.lease); old != leases_.end()) old->second.erase(at->first);
    if (const auto now = leases_.find(lease); now != leases_.end()) now->second.insert(at->first);
  }
  if (is_new) value.created = main;
  value.modified = main;
  ++value.version;
  value.lease = lease;
  if (!request.ignore_value) value.value = request.value;
  if (on_write) on_write({false, at->first, value.value, lease, main, sub_, value.version});
  ++sub_;
}

void StoreModel::erase(base::BytesView key, base::BytesView end) {
  const auto [first, last] = rows(key, end);
  for (auto at = first; at != last; ++at) {
    if (const auto lease = leases_.find(at->second.lease); lease != leases_.end()) lease->second.erase(at->first);
    if (on_write) on_write({true, at->first, {}, 0, revision_ + 1, sub_, 0});
    ++sub_;
  }
  keys_.erase(first, last);
}

bool StoreModel::holds(base::BytesView compare) {
  std::uint64_t result = 0;
  std::uint64_t target = 0;
  std::int64_t number = 0;
  base::BytesView key;
  base::BytesView end;
  base::BytesView bytes;
  proto::WireReader reader(compare);
  while (reader.next()) {
    if (reader.is_bytes()) {
      if (reader.number() == 3) key = reader.bytes();
      else if (reader.number() == 7) bytes = reader.bytes();
      else if (reader.number() == 64) end = reader.bytes();
    } else if (reader.is_varint()) {
      if (reader.number() == 1) result = reader.varint();
      else if (reader.number() == 2) target = reader.varint();
      else if ((reader.number() >= 4 && reader.number() <= 6) || reader.number() == 8) number = static_cast<std::int64_t>(reader.varint());
    }
  }
  const auto one = [&](const Value& value) {
    const auto three_way = [](const auto& a, const auto& b) { return a < b ? -1 : a > b ? 1 : 0; };
    int order = 0;
    switch (target) {
      case 0: order = three_way(value.version, number); break;
      case 1: order = three_way(value.created, number); break;
      case 2: order = three_way(value.modified, number); break;
      case 3: order = three_way(base::BytesView(value.value), bytes); break;
      case 4: order = three_way(static_cast<std::int64_t>(value.lease), number); break;
      default: break;
    }
    switch (result) {
      case 0: return order == 0;
      case 1: return order > 0;
      case 2: return order < 0;
      case 3: return order != 0;
      default: return true;
    }
  };
  const auto [first, last] = rows(key, end);
  // A key that is not there has zeros, but no value that could be compared.
  if (first == last) return target != 3 && one({});
  return std::all_of(first, last, [&](const auto& row) { return one(row.second); });
}

// All comparisons look at the state before the transaction, those of nested ones too.
void StoreModel::choose(base::BytesView txn, Path& path, int depth) {
  if (depth > kMaxNesting) return;
  bool success = true;
  proto::WireReader reader(txn);
  while (reader.next())
    if (success && reader.number() == 1 && reader.is_bytes()) success = holds(reader.bytes());
  path.push_back(success);
  each_operation(txn, success, [&](std::uint32_t what, base::BytesView body) {
    if (what == kOpTxn) choose(body, path, depth + 1);
    return true;
  });
}

std::string StoreModel::check_txn(base::BytesView txn, const Path& path, std::size_t& at, int depth) {
  std::string refused;
  if (depth > kMaxNesting || at >= path.size()) return refused;
  each_operation(txn, path[at++], [&](std::uint32_t what, base::BytesView body) {
    if (what == kOpRange) {
      const Range range = read_range(body, false);
      if (range.revision > revision_) refused = "mvcc: required revision is a future revision";
      else if (range.revision != 0 && range.revision < compacted_) refused = "mvcc: required revision has been compacted";
    } else if (what == kOpPut) {
      refused = check_put(read_put(body));
    } else if (what == kOpTxn) {
      refused = check_txn(body, path, at, depth + 1);
    }
    return refused.empty();
  });
  return refused;
}

bool StoreModel::permits_txn(const EntryView& entry, base::BytesView txn, int depth) const {
  if (auth_.is_admin(entry.user)) return true;
  if (depth > kMaxNesting) return false;
  proto::WireReader reader(txn);
  while (reader.next()) {
    if (reader.number() != 1 || !reader.is_bytes()) continue;
    base::BytesView key;
    base::BytesView end;
    proto::WireReader compare(reader.bytes());
    while (compare.next()) {
      if (compare.number() == 3 && compare.is_bytes()) key = compare.bytes();
      else if (compare.number() == 64 && compare.is_bytes()) end = compare.bytes();
    }
    if (!auth_.may(entry, false, key, end)) return false;
  }
  const auto permitted = [&](std::uint32_t what, base::BytesView body) {
    if (what == kOpRange) {
      const Range range = read_range(body, false);
      return auth_.may(entry, false, range.key, range.end);
    }
    if (what == kOpPut) {
      const Put request = read_put(body);
      return auth_.may(entry, true, request.key, {}) && (!request.prev_kv || auth_.may(entry, false, request.key, {}));
    }
    if (what == kOpDelete) {
      const Range range = read_range(body, true);
      return auth_.may(entry, true, range.key, range.end) && (!range.prev_kv || auth_.may(entry, false, range.key, range.end));
    }
    return what != kOpTxn || permits_txn(entry, body, depth + 1);
  };
  return each_operation(txn, true, permitted) && each_operation(txn, false, permitted);
}

// What etcd counts against the quota: puts of its own two branches.
bool StoreModel::writes(base::BytesView txn) {
  const auto is_no_put = [](std::uint32_t what, base::BytesView) { return what != kOpPut; };
  return !each_operation(txn, true, is_no_put) || !each_operation(txn, false, is_no_put);
}

void StoreModel::run_txn(base::BytesView txn, const Path& path, std::size_t& at, int depth) {
  if (depth > kMaxNesting || at >= path.size()) return;
  each_operation(txn, path[at++], [&](std::uint32_t what, base::BytesView body) {
    if (what == kOpPut) {
      put(read_put(body));
    } else if (what == kOpDelete) {
      const Range range = read_range(body, true);
      erase(range.key, range.end);
    } else if (what == kOpTxn) {
      run_txn(body, path, at, depth + 1);
    }
    return true;
  });
}

}  // namespace etcdpp::wal

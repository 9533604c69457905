#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "auth_model.h"
#include "entry_view.h"

namespace etcdpp::wal {

/// The key space as a log makes it from its first entry on: plain and slow, but with etcd's rules for when a request changes
/// something and which revision that gets (transactions' comparisons, leases, alarms, permissions). One owner.
class StoreModel {
 public:
  struct Write {
    bool deletion = false;
    base::BytesView key;
    /// Of a put; borrows from the entry, or from the model when the request kept the old one.
    base::BytesView value;
    std::uint64_t lease = 0;
    std::int64_t revision = 0;
    std::int64_t sub = 0;
    std::int64_t version = 0;
  };

  /// Called for each write of an entry, in order.
  std::function<void(const Write&)> on_write;

  /// The next committed entry. Empty, or why it changed nothing (etcd's words).
  std::string apply(const EntryView& entry);

  std::int64_t revision() const { return revision_; }

 private:
  struct Value {
    std::int64_t created = 0;
    std::int64_t modified = 0;
    std::int64_t version = 0;
    std::uint64_t lease = 0;
    std::string value;
  };
  struct Put {
    base::BytesView key;
    base::BytesView value;
    std::uint64_t lease = 0;
    bool prev_kv = false;
    bool ignore_value = false;
    bool ignore_lease = false;
  };
  struct Range {
    base::BytesView key;
    base::BytesView end;
    std::int64_t revision = 0;
    bool prev_kv = false;
  };
  using Path = std::vector<bool>;
  using Keys = std::map<std::string, Value, std::less<>>;

  static Put read_put(base::BytesView bytes);
  static Range read_range(base::BytesView bytes, bool deletion);
  std::pair<Keys::iterator, Keys::iterator> rows(base::BytesView key, base::BytesView end);

  std::string apply_request(const EntryView& entry);
  std::string apply_alarm(base::BytesView body);
  std::string revoke(const EntryView& entry, std::uint64_t lease);
  std::string check_put(const Put& put) const;
  std::string check_lease_permission(const EntryView& entry, std::uint64_t lease) const;

  bool holds(base::BytesView compare);
  void choose(base::BytesView txn, Path& path, int depth);
  std::string check_txn(base::BytesView txn, const Path& path, std::size_t& at, int depth);
  bool permits_txn(const EntryView& entry, base::BytesView txn, int depth) const;
  static bool writes(base::BytesView txn);
  void run_txn(base::BytesView txn, const Path& path, std::size_t& at, int depth);

  void put(const Put& put);
  void erase(base::BytesView key, base::BytesView end);
  void begin() { sub_ = 0; }
  void end() { revision_ += sub_ > 0 ? 1 : 0; }

  std::int64_t revision_ = 1;
  std::int64_t compacted_ = 0;
  /// Writes so far of the request at hand.
  std::int64_t sub_ = 0;
  Keys keys_;
  std::map<std::uint64_t, std::set<std::string>> leases_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> alarms_;
  AuthModel auth_;
};

}  // namespace etcdpp::wal

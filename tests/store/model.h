#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace etcdpp::store_test {

/// One operation of a transaction, or a read by itself.
struct Operation {
  enum class Kind { kPut, kDelete, kRange };
  Kind kind = Kind::kRange;
  std::string key{};
  std::string range_end{};  // as in a request: "" one key, "\0" all from it on
  std::string value{};
  std::int64_t lease = 0;
  std::int64_t revision = 0;
  std::int64_t limit = 0;
  bool keys_only = false;
  bool count_only = false;
};

struct Comparison {
  enum class Target { kVersion, kCreate, kMod, kValue, kLease };
  enum class Relation { kEqual, kGreater, kLess, kNotEqual };
  std::string key;
  Target target = Target::kVersion;
  Relation relation = Relation::kEqual;
  std::int64_t number = 0;
  std::string value;

  bool holds(std::int64_t found, std::int64_t wanted) const;
  bool holds(const std::string& found) const;
};

/// What an entry of the log asks of the store.
struct Entry {
  bool compaction = false;
  std::int64_t revision = 0;  // of the compaction
  std::vector<Comparison> comparisons;
  std::vector<Operation> success;
  std::vector<Operation> failure;
};

/// The bytes of an answer, as both sides write them down.
class Answer {
 public:
  void number(std::int64_t n);
  void bytes(std::string_view b);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

enum class ReadError { kNone, kCompacted, kFuture };

/// The store's meaning, as plainly as it can be written: every key's whole history in a list, every row in a list. No
/// code of mvcc's, not even its encoding.
class Model {
 public:
  std::string apply(const Entry& entry);
  /// A read of the state after `current`, where `compacted` was compacted to.
  std::string read(const Operation& operation, std::int64_t current, std::int64_t compacted) const;

  std::int64_t revision() const { return revision_; }
  std::int64_t compact_revision() const { return compact_revision_; }
  const std::map<std::string, std::int64_t>& leases() const { return leases_; }

  /// HashKV at a revision ≥ the compact revision; none while no row would be kept (etcd's rule then counts rows that a
  /// job has yet to delete).
  std::optional<std::uint32_t> hash(std::int64_t revision) const;
  /// What the last compaction's job hashes, with all rows that were there before it.
  std::uint32_t last_compaction_hash() const { return last_compaction_hash_; }
  /// Identities of the rows that are left, in order; tombstones negative in sub.
  std::vector<std::pair<std::int64_t, std::int64_t>> rows() const;

 private:
  struct Version {
    std::int64_t main = 0;
    std::int64_t sub = 0;
    std::int64_t created = 0;
    std::int64_t number = 0;  // of its generation
    std::int64_t lease = 0;
    bool tombstone = false;
    std::string value;
    std::string encoded;
  };
  struct Row {
    std::int64_t main, sub;
    bool tombstone;
    std::string encoded;
  };
  using Identity = std::pair<std::int64_t, std::int64_t>;

  const Version* at(const std::vector<Version>& history, std::int64_t revision) const;
  template <typename Visit>
  void each(const std::string& key, const std::string& range_end, Visit&& visit) const;
  void put(const Operation& operation, std::int64_t& sub);
  void erase(const std::string& key, std::int64_t& sub);
  void add_row(const std::string& key, Version version);
  ReadError check(std::int64_t requested, std::int64_t current, std::int64_t compacted) const;
  void range(const Operation& operation, std::int64_t at_revision, Answer& answer) const;
  void compact(std::int64_t revision);
  /// What compaction to `revision` keeps; tombstones at exactly that revision only if asked for.
  std::set<Identity> kept(std::int64_t revision, bool tombstones) const;
  static std::uint32_t hash_rows(const std::vector<Row>& rows, std::int64_t compacted, std::int64_t revision, const std::set<Identity>& kept);

  std::int64_t revision_ = 1;
  std::int64_t compact_revision_ = -1;
  std::map<std::string, std::vector<Version>> keys_;
  std::map<std::string, std::int64_t> leases_;
  std::vector<Row> rows_;
  std::uint32_t last_compaction_hash_ = 0;
};

}  // namespace etcdpp::store_test

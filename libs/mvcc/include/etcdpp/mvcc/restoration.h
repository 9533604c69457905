#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/result.h>
#include <etcdpp/base/worker.h>
#include <etcdpp/mvcc/revision.h>
#include <etcdpp/mvcc/tree_index.h>

namespace etcdpp::mvcc {

class RestoreBatch;

/// The key index on its way out of a database: takes the rows of bucket `key` in order, once, and ends in Store::restore().
///
/// Rows gather in batches, which are sorted by key and merged into the index: with a Worker beside the caller, who reads
/// the next rows meanwhile, and else by him; the index is the same. Memory: two batches beside the index, up to 64 MB
/// where keys are long. Threads: one, but for the worker's. Errors: kBadRow, kBadRowKey with the row; what was taken is
/// good for nothing then.
class Restoration {
 public:
  explicit Restoration(std::unique_ptr<base::Worker> worker = nullptr);
  ~Restoration();

  base::Result<> add(base::BytesView row_key, base::BytesView value);
  /// No more rows come. The last batch may still be on its way into the index.
  void end();
  /// After end(): the index of all rows. Once.
  TreeIndex take_index();

 private:
  friend class Store;
  struct KeyHash {
    using is_transparent = void;
    std::size_t operator()(base::BytesView key) const { return std::hash<base::BytesView>{}(key); }
  };

  void hand_over();

  TreeIndex index_;
  std::array<std::unique_ptr<RestoreBatch>, 2> batches_;
  unsigned filling_ = 0;
  std::uint64_t rows_ = 0;
  Revision last_{0, -1};
  std::unordered_map<base::Bytes, std::int64_t, KeyHash, std::equal_to<>> leases_;
  std::unique_ptr<base::Worker> worker_;  // last: it goes first
};

}  // namespace etcdpp::mvcc

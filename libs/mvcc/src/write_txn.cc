#include <etcdpp/mvcc/write_txn.h>

#include <vector>

#include <etcdpp/base/assert.h>
#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/store.h>

// Hop 11 of a Put: see docs/LIFE_OF_A_PUT.md.

namespace etcdpp::mvcc {

WriteTxn::WriteTxn(Store& store) : store_(store), begin_(store.revision_) {}

WriteTxn::~WriteTxn() {
  ETCDPP_ASSERT(ended_, "a write transaction was dropped without end(): half an entry is applied");
}

std::int64_t WriteTxn::revision() const {
  return changes_ == 0 ? begin_ : begin_ + 1;
}

void WriteTxn::put(base::BytesView key, base::BytesView value, std::int64_t lease) {
  const Revision revision{begin_ + 1, changes_};
  auto slot = store_.index_.find(key);
  const auto before = slot.live();
  const KeyValue kv{.key = key,
                    .create_revision = before ? before->create_revision : revision.main,
                    .mod_revision = revision.main,
                    .version = before ? before->version + 1 : 1,
                    .value = value,
                    .lease = lease};
  const std::size_t size = encoded_size(kv);
  auto& buffer = store_.backend_.buffer();
  char* row = buffer.begin_row(RowKeyBytes(revision, false), size);
  encode(kv, row);
  buffer.end_row();
  store_.index_.put(slot, key, revision, static_cast<std::uint32_t>(size));
  ++changes_;

  if (store_.leases_) {
    if (lease != 0) {
      const bool known = store_.leases_->attach(lease, key);
      ETCDPP_ASSERT(known, "apply wrote a key under a lease that it has not checked");
    } else if (before) {
      store_.leases_->detach(key);
    }
  }
  if (store_.observer_)
    store_.observer_->on_change(
        {.revision = revision, .tombstone = false, .creates = !before, .key = key, .key_value = {row, size}});
}

void WriteTxn::tombstone(base::BytesView key) {
  const Revision revision{begin_ + 1, changes_};
  const KeyValue kv{.key = key, .value = {}};
  const std::size_t size = encoded_size(kv);
  const bool existed = store_.index_.tombstone(key, revision, static_cast<std::uint32_t>(size));
  ETCDPP_ASSERT(existed, "a tombstone for a key that the same transaction found alive");
  auto& buffer = store_.backend_.buffer();
  encode(kv, buffer.begin_row(RowKeyBytes(revision, true), size));
  buffer.end_row();
  ++changes_;

  if (store_.leases_) store_.leases_->detach(key);
  if (store_.observer_) {
    store_.scratch_.clear();
    append_encoded({.key = key, .mod_revision = revision.main, .value = {}}, store_.scratch_);
    store_.observer_->on_change(
        {.revision = revision, .tombstone = true, .creates = false, .key = key, .key_value = store_.scratch_});
  }
}

// The keys are copied out a few hundred at a time: each tombstone may move what a walk stands on.
std::int64_t WriteTxn::delete_range(const KeyRange& range) {
  constexpr std::size_t kAtATime = 256;
  std::int64_t deleted = 0;
  base::Bytes keys;
  base::Bytes from(range.begin());
  std::vector<std::size_t> ends;
  for (bool more = true; more;) {
    keys.clear();
    ends.clear();
    IndexCursor cursor(store_.index_.current(), range.starting_at(from), begin_ + 1);
    KeyState state;
    while ((more = cursor.next(state))) {
      keys.append(state.key);
      ends.push_back(keys.size());
      if (ends.size() == kAtATime) break;
    }
    std::size_t begin = 0;
    for (const std::size_t end : ends) {
      tombstone(base::BytesView(keys).substr(begin, end - begin));
      from.assign(keys, begin, end - begin);
      begin = end;
    }
    if (range.is_single()) more = false;
    from.push_back('\0');
    deleted += static_cast<std::int64_t>(ends.size());
  }
  return deleted;
}

base::Result<RangeReader> WriteTxn::reader() const {
  return store_.reader_at(revision());
}

std::int64_t WriteTxn::end() {
  ETCDPP_ASSERT(!ended_, "a write transaction ends once");
  ended_ = true;
  if (changes_ == 0) return begin_;
  store_.revision_ = begin_ + 1;
  if (store_.observer_) store_.observer_->on_end(begin_ + 1);
  return begin_ + 1;
}

}  // namespace etcdpp::mvcc

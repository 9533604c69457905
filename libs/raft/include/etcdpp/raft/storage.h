#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <etcdpp/base/result.h>
#include <etcdpp/raft/types.h>

namespace etcdpp::raft {

/// The stable part of the log as raft reads it: what has been handed over for writing and what was there at start.
///
/// Threads: called by whoever drives the RawNode, nobody else. In asynchronous mode append entries here in that same
/// thread, before their acknowledgement is stepped (either when the MsgStorageAppend leaves or when it is durable: raft
/// prefers its own unstable entries over these, so an early append is never mistaken for a durable one).
/// Errors: kCompacted, kUnavailable, kSnapshotTemporarilyUnavailable are answers; raft acts on them.
class Storage {
 public:
  virtual ~Storage() = default;

  struct InitialState {
    HardState hard_state;
    ConfState conf_state;
  };
  /// What a restarted node begins with.
  virtual base::Result<InitialState> initial_state() = 0;
  /// Appends entries [lo, hi) to `out`: as many as fit in max_bytes by encoded_size(), but at least one.
  /// kCompacted when lo is no longer there, kUnavailable when hi is beyond last_index() + 1.
  virtual base::Result<> entries(Index lo, Index hi, std::uint64_t max_bytes, std::vector<Entry>& out) = 0;
  /// The term of index i in [first_index() - 1, last_index()]; the one before the first is kept for matching.
  virtual base::Result<Term> term(Index i) = 0;
  virtual Index first_index() = 0;
  virtual Index last_index() = 0;
  /// For a follower that is too far behind; kSnapshotTemporarilyUnavailable = ask again later.
  virtual base::Result<Snapshot> snapshot() = 0;
};

/// Bytes of an entry in raftpb's wire form as etcd 3.7 proposes it (a normal entry has no type); what size limits count.
std::uint64_t encoded_size(const Entry& entry);
std::uint64_t encoded_size(std::span<const Entry> entries);
/// Bytes of payload alone; what the uncommitted and in-flight limits count.
std::uint64_t payload_size(std::span<const Entry> entries);

/// The log in memory, for a server that keeps recent entries there (the WAL is the durable copy), and for tests.
///
/// Threads: one owner. Ownership: payloads are shared with raft and with whoever sent them.
class MemoryStorage final : public Storage {
 public:
  MemoryStorage();

  base::Result<InitialState> initial_state() override;
  base::Result<> entries(Index lo, Index hi, std::uint64_t max_bytes, std::vector<Entry>& out) override;
  base::Result<Term> term(Index i) override;
  Index first_index() override;
  Index last_index() override;
  base::Result<Snapshot> snapshot() override;

  const HardState& hard_state() const { return hard_state_; }
  void set_hard_state(const HardState& state) { hard_state_ = state; }
  /// The configuration of a restart without snapshot (entries hold it otherwise).
  void set_conf_state(ConfState state) { snapshot_.metadata.conf_state = std::move(state); }

  /// Adds entries; from a conflict on the old ones are replaced, what is compacted is ignored. kUnavailable when there
  /// would be a gap (the log is unchanged).
  base::Result<> append(std::span<const Entry> entries);
  /// Replaces everything by a received snapshot. kSnapshotOutOfDate when it is older than ours.
  base::Result<> apply_snapshot(Snapshot snapshot);
  /// Makes the snapshot at `index` (in the log), which snapshot() then returns. `conf_state` null: unchanged.
  base::Result<Snapshot> create_snapshot(Index index, const ConfState* conf_state, base::SharedBytes data);
  /// Drops entries up to and with `index`; its term is kept. kCompacted when that was done already, kUnavailable
  /// beyond the log.
  base::Result<> compact(Index index);

 private:
  std::size_t offset_of(Index i) const { return head_ + static_cast<std::size_t>(i - entries_[head_].index); }

  HardState hard_state_;
  Snapshot snapshot_;
  // entries_[head_] is a dummy that keeps index and term before the first; everything before head_ is dead.
  std::vector<Entry> entries_;
  std::size_t head_ = 0;
};

}  // namespace etcdpp::raft

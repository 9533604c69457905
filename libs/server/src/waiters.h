#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include <google/protobuf/message_lite.h>

#include <etcdpp/base/clock.h>
#include <etcdpp/base/result.h>
#include <etcdpp/net/executor.h>

namespace etcdpp::server {

/// The answer of an applied request, its header still without ids and term: the service that gives it fills those in.
using ResponseMessage = std::unique_ptr<google::protobuf::MessageLite>;

/// Gives an answer. Runs on the home executor of whoever asked, exactly once.
template <typename T>
using Done = std::move_only_function<void(base::Result<T>)>;

/// Whoever waits for one proposal.
struct Waiter {
  Done<ResponseMessage> done;
  net::Executor* home = nullptr;
  base::Instant deadline{};
};

/// Hop 13 of a Put: who is to be answered when the entry with a request id has been applied.
///
/// Threads: any; a shard's mutex is held for one look-up. Bound: one waiter per proposal, and those are bounded by the
/// raft inbox and the gap rule (Proposer).
class Waiters {
 public:
  /// False if the id is taken (ids come from RequestIdGenerator, so this is a broken clock).
  bool add(std::uint64_t id, Waiter waiter);
  bool waits(std::uint64_t id) const;
  std::optional<Waiter> take(std::uint64_t id);
  /// Those whose deadline has passed.
  std::vector<Waiter> take_expired(base::Instant now);
  std::vector<Waiter> take_all();
  std::size_t size() const;

 private:
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::uint64_t, Waiter> by_id;  // guarded by mutex
  };
  Shard& shard(std::uint64_t id) { return shards_[id % shards_.size()]; }
  const Shard& shard(std::uint64_t id) const { return shards_[id % shards_.size()]; }

  std::array<Shard, 16> shards_;
};

/// Answers that have gathered in one pass of a loop, sorted by the executor that must give them.
///
/// Threads: one owner. flush() wakes each executor once.
class AnswerBatch {
 public:
  void add(net::Executor* home, net::Task task);
  void answer(Waiter waiter, base::Result<ResponseMessage> result);
  void flush();
  bool empty() const { return batches_.empty(); }

 private:
  std::vector<std::pair<net::Executor*, std::vector<net::Task>>> batches_;
};

}  // namespace etcdpp::server

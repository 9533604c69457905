#include "read_indexer.h"

#include <algorithm>

#include <etcdpp/base/bytes.h>

#include "errc.h"

namespace etcdpp::server {

namespace {
// etcd asks again after this long without an answer.
constexpr base::Duration kAskAgain = std::chrono::milliseconds(500);
}  // namespace

ReadIndexer::ReadIndexer(RequestIdGenerator& ids, const base::Clock& clock, StartRound start_round, base::Logger& logger)
    : ids_(ids), clock_(clock), start_round_(std::move(start_round)), logger_(logger) {}

void ReadIndexer::request(ReadDone done, net::Executor& home, base::Instant deadline) {
  std::lock_guard lock(mutex_);
  gathered_.push_back({std::move(done), &home, deadline});
}

void ReadIndexer::answer(std::vector<Read> reads, const base::Result<>& result, AnswerBatch& answers) {
  if (!result) failed_.fetch_add(reads.size(), std::memory_order_relaxed);
  for (Read& read : reads)
    answers.add(read.home, [done = std::move(read.done), result]() mutable { done(std::move(result)); });
}

bool ReadIndexer::ask(Round& round) {
  base::SharedBytes context(std::size_t{8});
  base::put_be64(context.mutable_data(), round.context);
  round.asked_at = clock_.now();
  return start_round_(std::move(context));
}

bool ReadIndexer::step(AnswerBatch& answers) {
  bool did = false;
  std::vector<Read> reads;
  {
    std::lock_guard lock(mutex_);
    reads.swap(gathered_);
  }
  if (!reads.empty()) {
    did = true;
    Round& round = rounds_.emplace_back(Round{ids_.next(), {}, std::move(reads)});
    if (!ask(round)) round.asked_at = {};
  }
  if (rounds_.empty()) return did;
  const base::Instant now = clock_.now();
  for (auto round = rounds_.begin(); round != rounds_.end();) {
    std::vector<Read> expired;
    std::erase_if(round->reads, [&](Read& read) {
      if (read.deadline > now) return false;
      expired.push_back(std::move(read));
      return true;
    });
    if (!expired.empty()) answer(std::move(expired), base::Error(Errc::kTimeout), answers);
    if (round->reads.empty()) {
      round = rounds_.erase(round);
      did = true;
      continue;
    }
    if (now - round->asked_at >= kAskAgain) {
      if (round->asked_at != base::Instant{}) {
        slow_.fetch_add(1, std::memory_order_relaxed);
        logger_.warn("waiting for ReadIndex response took too long, retrying",
                     {{"sent-request-id", round->context}, {"retry-timeout", "500ms"}});
      }
      did |= ask(*round);
    }
    ++round;
  }
  return did;
}

void ReadIndexer::confirmed(const raft::ReadState& state) {
  if (state.context.size() != 8) return;
  const std::uint64_t context = base::get_be64(state.context.data());
  const auto round = std::ranges::find(rounds_, context, &Round::context);
  if (round == rounds_.end()) return;
  // Answers come in the order of asking: what was asked before this round is covered by it as well.
  for (auto earlier = rounds_.begin(); earlier <= round; ++earlier)
    waiting_for_apply_.emplace(state.index, std::move(earlier->reads));
  rounds_.erase(rounds_.begin(), round + 1);
}

void ReadIndexer::release(std::uint64_t applied, AnswerBatch& answers) {
  while (!waiting_for_apply_.empty() && waiting_for_apply_.begin()->first <= applied) {
    answer(std::move(waiting_for_apply_.begin()->second), {}, answers);
    waiting_for_apply_.erase(waiting_for_apply_.begin());
  }
}

void ReadIndexer::leader_changed(AnswerBatch& answers) {
  for (Round& round : rounds_) answer(std::move(round.reads), base::Error(Errc::kLeaderChanged), answers);
  rounds_.clear();
}

void ReadIndexer::fail_all(const base::Error& why, AnswerBatch& answers) {
  std::vector<Read> reads;
  {
    std::lock_guard lock(mutex_);
    reads.swap(gathered_);
  }
  answer(std::move(reads), why, answers);
  for (Round& round : rounds_) answer(std::move(round.reads), why, answers);
  rounds_.clear();
  for (auto& [index, waiting] : waiting_for_apply_) answer(std::move(waiting), why, answers);
  waiting_for_apply_.clear();
}

}  // namespace etcdpp::server

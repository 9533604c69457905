#include "raft_log.h"

#include <doctest/doctest.h>

#include <etcdpp/base/random.h>
#include <etcdpp/raft/errc.h>

namespace etcdpp::raft {
namespace {

Entry entry(Term term, Index index, std::size_t bytes = 3) { return {.term = term, .index = index, .data = base::SharedBytes(std::string(bytes, 'x'))}; }

std::vector<Entry> read(const RaftLog& log, Index from, std::uint64_t max_bytes = kNoLimit) {
  std::vector<Entry> out;
  REQUIRE(log.entries(from, max_bytes, out));
  return out;
}

TEST_CASE("raft log: behaves as a plain list under appends, conflicts, stable marks, compaction and applying") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    base::Random random(seed);
    MemoryStorage storage;
    RaftLog log(storage, Say(base::null_logger()), Say(base::null_logger()), kNoLimit);
    std::vector<Entry> list;  // entry i at i - 1; nothing is ever missing here
    Term term = 1;
    Index compacted = 0;
    std::vector<Entry> in_flight;  // handed to storage, not confirmed

    for (int round = 0; round < 300; ++round) {
      switch (random.below(6)) {
        case 0:
        case 1: {  // a leader's append, sometimes of a new term and over the uncommitted tail
          const Index from = log.committed() + 1 + random.below(list.size() - log.committed() + 1);
          if (from <= list.size()) ++term;
          std::vector<Entry> entries;
          for (std::size_t n = 1 + random.below(4); n > 0; --n) entries.push_back(entry(term, from + entries.size()));
          list.resize(from - 1);
          list.insert(list.end(), entries.begin(), entries.end());
          const EntryId previous{from == 1 ? 0 : list[from - 2].term, from - 1};
          const auto appended = log.maybe_append(previous, entries, log.committed());
          REQUIRE(appended);
          REQUIRE(*appended == list.size());
          break;
        }
        case 2: {  // commit
          if (list.size() == log.committed()) break;
          const Index to = log.committed() + 1 + random.below(list.size() - log.committed());
          REQUIRE(log.commit_to(to));
          break;
        }
        case 3: {  // storage takes what is next
          const auto next = log.unstable().next_entries();
          in_flight.assign(next.begin(), next.end());
          log.accept_unstable();
          REQUIRE(storage.append(in_flight));
          break;
        }
        case 4:  // storage confirms what it took last; outdated confirmations change nothing
          if (!in_flight.empty()) log.stable_to({in_flight.back().term, in_flight.back().index});
          break;
        case 5: {  // apply, sometimes compact
          std::vector<Entry> committed;
          log.next_committed_entries(false, committed);
          if (committed.empty()) break;
          REQUIRE(committed.front().index == log.applying() + 1);
          REQUIRE(committed.back().index <= storage.last_index());
          for (const Entry& e : committed) REQUIRE(e == list[e.index - 1]);
          log.accept_applying(committed.back().index, encoded_size(committed), false);
          log.applied_to(committed.back().index, encoded_size(committed));
          if (random.one_in(3) && storage.compact(log.applied())) compacted = log.applied();
          break;
        }
      }
      REQUIRE(log.last_index() == list.size());
      REQUIRE(log.first_index() == compacted + 1);
      for (Index i = 0; i <= list.size() + 1; ++i) {
        const auto its_term = log.term(i);
        if (i < compacted) REQUIRE(its_term.error().code == Errc::kCompacted);
        else if (i > list.size()) REQUIRE(its_term.error().code == Errc::kUnavailable);
        else REQUIRE(*its_term == (i == 0 ? 0 : list[i - 1].term));
      }
      if (!list.empty() && compacted < list.size()) {
        const Index from = compacted + 1 + random.below(list.size() - compacted);
        const std::vector<Entry> all = read(log, from);
        REQUIRE(all == std::vector<Entry>(list.begin() + static_cast<std::ptrdiff_t>(from - 1), list.end()));
        const std::uint64_t limit = random.below(60);
        std::size_t expected = 0;
        for (std::uint64_t size = 0; expected < all.size(); ++expected) {
          size += encoded_size(all[expected]);
          if (size > limit && expected > 0) break;
        }
        REQUIRE(read(log, from, limit).size() == expected);
      }
    }
  }
}

TEST_CASE("raft log: conflict hints skip whole terms") {
  MemoryStorage storage;
  RaftLog log(storage, Say(base::null_logger()), Say(base::null_logger()), kNoLimit);
  std::vector<Entry> entries{entry(1, 1), entry(1, 2), entry(4, 3), entry(4, 4), entry(7, 5)};
  log.append(entries);
  CHECK(log.find_conflict_by_term(5, 6) == EntryId{4, 4});
  CHECK(log.find_conflict_by_term(5, 7) == EntryId{7, 5});
  CHECK(log.find_conflict_by_term(4, 3) == EntryId{1, 2});
  CHECK(log.find_conflict_by_term(4, 0) == EntryId{0, 0});
  CHECK(log.find_conflict_by_term(9, 9) == EntryId{0, 9});
}

TEST_CASE("raft log: a committed entry is never replaced") {
  MemoryStorage storage;
  RaftLog log(storage, Say(base::null_logger()), Say(base::null_logger()), kNoLimit);
  std::vector<Entry> entries{entry(1, 1), entry(1, 2)};
  log.append(entries);
  REQUIRE(log.commit_to(2));
  std::vector<Entry> other{entry(2, 2)};
  CHECK(log.maybe_append({1, 1}, other, 0).error().code == Errc::kMalformedMessage);
  CHECK_FALSE(log.commit_to(3));
  CHECK(*log.term(2) == 1);
}

TEST_CASE("raft log: a restored snapshot is the log until entries follow") {
  MemoryStorage storage;
  RaftLog log(storage, Say(base::null_logger()), Say(base::null_logger()), kNoLimit);
  log.restore(std::make_shared<Snapshot>(Snapshot{.metadata = {.index = 10, .term = 3}}));
  CHECK(log.first_index() == 11);
  CHECK(log.last_index() == 10);
  CHECK(*log.term(10) == 3);
  std::vector<Entry> entries{entry(3, 11)};
  REQUIRE(*log.maybe_append({3, 10}, entries, 11) == 11);
  CHECK_FALSE(log.has_next_committed_entries(true));  // not before the snapshot is installed
  CHECK(log.unstable().next_snapshot());
  CHECK(log.unstable().next_entries().size() == 1);   // both at once
  log.accept_unstable();
  CHECK_FALSE(log.unstable().next_snapshot());
  REQUIRE(storage.apply_snapshot({.metadata = {.index = 10, .term = 3}}));
  log.stable_snapshot_to(10);
  log.applied_to(10, 0);
  CHECK(log.has_next_committed_entries(true));
  CHECK_FALSE(log.has_next_committed_entries(false));
}

TEST_CASE("raft log: outstanding size of entries to apply is limited") {
  MemoryStorage storage;
  RaftLog log(storage, Say(base::null_logger()), Say(base::null_logger()), 100);
  std::vector<Entry> entries;
  for (Index i = 1; i <= 10; ++i) entries.push_back(entry(1, i, 40));
  log.append(entries);
  REQUIRE(log.commit_to(10));
  std::vector<Entry> first;
  log.next_committed_entries(true, first);
  CHECK(first.size() == 2);
  log.accept_applying(2, encoded_size(first), true);
  CHECK_FALSE(log.has_next_committed_entries(true));
  log.applied_to(2, encoded_size(first));
  std::vector<Entry> second;
  log.next_committed_entries(true, second);
  CHECK(second.front().index == 3);
}

}  // namespace
}  // namespace etcdpp::raft

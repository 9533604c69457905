// Crashes at every call, failures of every call, damage at every byte of a small log.

#include <doctest/doctest.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include <etcdpp/base/random.h>
#include <etcdpp/wal/wal.h>
#include <support/fault_env.h>

#include "log_reader.h"

using namespace etcdpp;
using test::FaultEnv;
using wal::Errc;
using wal::Wal;

namespace {

const std::string kDir = "/d/member/wal";
const wal::Metadata kOwner{11, 22};
const raft::ConfState kConf{{11}, {}, {}, {}, false};

raft::Entry entry(raft::Index index, raft::Term term) {
  return {raft::EntryType::kNormal, term, index, base::SharedBytes(std::string(20 + index * 37 % 700, static_cast<char>('a' + (index + term) % 26)))};
}

void make_home(FaultEnv& env) {
  REQUIRE(env.make_directories("/d/member"));
  REQUIRE(env.sync_directory("/d"));
  REQUIRE(env.sync_directory("/"));
}

// What a member was promised, and what it tried.
struct Model {
  bool created = false;
  std::vector<raft::Entry> attempted;  // by index - 1, as last appended
  std::vector<raft::Entry> acked;
  raft::HardState acked_state;
  raft::HardState attempted_state;
  raft::Index marker = 0;
};

wal::Options small_segments() {
  wal::Options options;
  options.segment_size = 3000;
  return options;
}

// A member's life: entries, an overwrite by a newer leader, markers, releases, purges, cuts. Ends at the first failure.
void live(FaultEnv& env, Model& model) {
  auto created = Wal::create(env, kDir, kOwner, small_segments());
  if (!created) return;
  model.created = true;
  Wal& log = **created;
  raft::Term term = 1;
  for (int round = 1; round <= 24; ++round) {
    std::vector<raft::Entry> batch;
    if (round % 9 == 0) {
      ++term;
      model.attempted.resize(model.attempted.size() - 2);  // never below the commit index, which lags by three
    }
    for (int i = 0; i < 1 + round % 4; ++i) batch.push_back(entry(model.attempted.size() + batch.size() + 1, term));
    model.attempted.insert(model.attempted.end(), batch.begin(), batch.end());
    const raft::Index last = model.attempted.size();
    const raft::HardState state{term, 11, last > 3 ? last - 3 : 0};
    model.attempted_state = state;
    if (round % 3 == 0) static_cast<void>(log.preallocator().step());
    if (!log.append(state, batch) || !log.sync()) return;
    model.acked = model.attempted;
    model.acked_state = state;
    if (round % 6 == 0) {
      const raft::Index at = state.commit;
      if (!log.save_snapshot({at, model.acked[at - 1].term, kConf})) return;
      model.marker = at;
      if (!log.release_to(at) || !wal::purge_segments(env, kDir, 2)) return;
    }
  }
  static_cast<void>(log.close());
}

// Opens what is left and holds it against what was promised.
void check(FaultEnv& env, const Model& model) {
  if (!wal::exists(env, kDir)) {
    CHECK(!model.created);
    return;
  }
  const auto markers = wal::valid_snapshots(env, kDir);
  REQUIRE_MESSAGE(markers, markers.error().message());
  REQUIRE(!markers->empty());
  CHECK(markers->back().index >= model.marker);
  const auto newest = wal::newest_snapshot(env, kDir);
  REQUIRE_MESSAGE(newest, newest.error().message());
  CHECK(newest->index == markers->back().index);
  auto opened = Wal::open(env, kDir, *newest, {.consistent_index = model.acked_state.commit}, small_segments());
  REQUIRE_MESSAGE(opened, opened.error().message());
  const wal::ReadResult& read = opened->read;
  CHECK(read.metadata == kOwner);
  const raft::Index start = markers->back().index;
  CHECK(read.hard_state.term >= model.acked_state.term);
  CHECK(read.hard_state.commit >= model.acked_state.commit);
  CHECK(read.hard_state.commit <= model.attempted_state.commit);
  const raft::Index end = start + read.entries.size();
  if (model.attempted_state.term == model.acked_state.term) CHECK(end >= model.acked.size());
  for (const raft::Entry& each : read.entries) {
    const bool was_acked = each.index <= model.acked.size() && each == model.acked[each.index - 1];
    const bool was_tried = each.index <= model.attempted.size() && each == model.attempted[each.index - 1];
    CHECK((was_acked || was_tried));
  }
  // It can be written to.
  const raft::Index next = end + 1;
  const std::vector<raft::Entry> more = {entry(next, 99)};
  REQUIRE(opened->wal->save({99, 11, read.hard_state.commit}, more));
  // What the start does not need may go, and it still begins where it did.
  REQUIRE(opened->wal->release_to(start));
  REQUIRE(wal::purge_segments(env, kDir, 1));
  opened->wal.reset();
  const auto kept = wal::valid_snapshots(env, kDir);
  REQUIRE_MESSAGE(kept, kept.error().message());
  REQUIRE(!kept->empty());
  CHECK(kept->back().index == start);
  const auto again = Wal::open(env, kDir, markers->back(), {}, small_segments());
  REQUIRE_MESSAGE(again, again.error().message());
  CHECK(again->read.entries.back() == more.back());
}

}  // namespace

TEST_CASE("wal crash: at every call, with any mixture of unsynced work lost, what was acknowledged is there") {
  std::uint64_t calls = 0;
  {
    FaultEnv env;
    make_home(env);
    Model model;
    live(env, model);
    REQUIRE(model.acked.size() > 30);
    CHECK(model.marker > 0);
    calls = env.calls();
    check(env, model);
  }
  REQUIRE(calls > 100);
  for (std::uint64_t at = 0; at < calls; ++at) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      CAPTURE(at);
      CAPTURE(seed);
      FaultEnv env(seed);
      make_home(env);
      Model model;
      // From this call on the machine is gone.
      const std::uint64_t stop = env.calls() + at;
      std::uint64_t seen = env.calls();
      env.on_call = [&](FaultEnv::Call call, const std::string&) -> std::optional<std::errc> {
        if (call == FaultEnv::Call::kRead) return {};
        if (seen++ >= stop) return std::errc::io_error;
        return {};
      };
      live(env, model);
      env.on_call = nullptr;
      env.crash(seed == 1 ? FaultEnv::Loss::kAll : seed == 2 ? FaultEnv::Loss::kNone : FaultEnv::Loss::kRandom);
      check(env, model);
    }
  }
}

TEST_CASE("wal crash: without fdatasync acknowledged entries are lost, so the others can fail") {
  FaultEnv env;
  make_home(env);
  wal::Options options;
  options.unsafe_no_fsync = true;
  auto created = Wal::create(env, kDir, kOwner, options);
  REQUIRE(created);
  const std::vector<raft::Entry> entries = {entry(1, 1)};
  REQUIRE((*created)->save({1, 11, 0}, entries));
  env.crash(FaultEnv::Loss::kAll);
  CHECK(!Wal::open(env, kDir, {}));
}

TEST_CASE("wal crash: every call failed in turn is told, and leaves a log that opens") {
  std::uint64_t calls = 1;
  for (std::uint64_t at = 0; at < calls; ++at) {
    for (const auto& [code, written, power_lost] : {std::tuple{std::errc::io_error, std::size_t{0}, true}, {std::errc::io_error, std::size_t{0}, false},
                                                  {std::errc::no_space_on_device, std::size_t{700}, true}}) {
      CAPTURE(at);
      CAPTURE(power_lost);
      FaultEnv env(at + 1);
      make_home(env);
      env.fail_call(at, code, written);
      Model model;
      live(env, model);
      calls = std::max(calls, env.calls());
      env.clear_faults();
      // Either the machine goes down too, or only the process: then memory shows what a failed sync did not write.
      if (power_lost) env.crash(FaultEnv::Loss::kRandom);
      check(env, model);
    }
  }
  CHECK(calls > 100);
}

TEST_CASE("wal crash: at every call, a disk that hangs until the power goes") {
  std::uint64_t at = 0;
  for (bool hung = true; hung; ++at) {
    CAPTURE(at);
    FaultEnv env(at + 1);
    make_home(env);
    std::mutex mutex;
    std::condition_variable changed;
    bool hangs = false;
    bool ended = false;
    bool power = true;
    std::uint64_t seen = 0;
    env.on_call = [&](FaultEnv::Call call, const std::string&) -> std::optional<std::errc> {
      if (call == FaultEnv::Call::kRead) return {};
      std::unique_lock lock(mutex);
      if (seen++ < at) return {};
      hangs = true;
      changed.notify_all();
      changed.wait(lock, [&] { return !power; });
      return std::errc::io_error;
    };
    Model model;
    std::thread member([&] {
      live(env, model);
      std::lock_guard lock(mutex);
      ended = true;
      changed.notify_all();
    });
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return hangs || ended; });
    }
    // While the call hangs nothing is acknowledged that the disk does not have.
    if (hangs) env.crash(FaultEnv::Loss::kAll);
    {
      std::lock_guard lock(mutex);
      power = false;
      changed.notify_all();
    }
    member.join();
    env.on_call = nullptr;
    check(env, model);
    hung = hangs;
  }
  CHECK(at > 100);
}

TEST_CASE("wal crash: every subset of what one unsynced batch wrote") {
  std::size_t pieces = 1;
  for (std::size_t mask = 0; mask < (std::size_t{1} << pieces); ++mask) {
    CAPTURE(mask);
    FaultEnv env;
    make_home(env);
    Model model;
    wal::Options options;
    options.segment_size = 16384;
    auto created = Wal::create(env, kDir, kOwner, options);
    REQUIRE(created);
    const std::vector<raft::Entry> first = {entry(1, 1), entry(2, 1)};
    REQUIRE((*created)->save({1, 11, 0}, first));
    model = {true, first, first, {1, 11, 0}, {1, 11, 2}, 0};
    for (raft::Index i = 3; i <= 12; ++i) model.attempted.push_back(entry(i, 1));
    env.on_call = [](FaultEnv::Call call, const std::string&) -> std::optional<std::errc> {
      if (call == FaultEnv::Call::kSyncData) return std::errc::io_error;
      return {};
    };
    CHECK(!(*created)->save({1, 11, 2}, std::span(model.attempted).subspan(2)));
    env.on_call = nullptr;
    pieces = env.unsynced_pieces();
    REQUIRE(pieces >= 6);
    REQUIRE(pieces <= 14);
    env.crash([&](std::size_t n) { return (mask >> n & 1) != 0; });
    check(env, model);
  }
}

TEST_CASE("wal damage: a small log cut at every length opens with a prefix, or is refused, and never crashes") {
  FaultEnv env;
  make_home(env);
  auto created = Wal::create(env, kDir, kOwner);
  REQUIRE(created);
  std::vector<raft::Entry> entries;
  for (raft::Index i = 1; i <= 6; ++i) {
    entries.push_back(entry(i, 1));
    REQUIRE((*created)->save({1, 11, 0}, std::span(&entries.back(), 1)));
  }
  const std::string path = kDir + "/" + (*created)->tail_name();
  const std::uint64_t end = (*created)->tail_offset();
  created->reset();
  const std::string intact = env.contents(path).substr(0, end);
  std::size_t opened_count = 0;
  for (std::uint64_t length = 0; length <= end; ++length) {
    CAPTURE(length);
    env.plant(path, intact.substr(0, length));
    auto opened = Wal::open(env, kDir, {});
    if (!opened) {
      CHECK(length < 80);
      CHECK(opened.error().code == Errc::kMetadataMissing);
      continue;
    }
    ++opened_count;
    CHECK(opened->read.entries.size() <= entries.size());
    for (std::size_t i = 0; i < opened->read.entries.size(); ++i) CHECK(opened->read.entries[i] == entries[i]);
    if (opened->read.repaired) {
      CHECK(env.contents(path + ".broken") == intact.substr(0, length));
      CHECK(env.contents(path).size() <= length);
    }
  }
  CHECK(opened_count > 1000);
}

TEST_CASE("wal damage: a flipped byte anywhere is refused, repaired or harmless, and never shows other data") {
  FaultEnv env;
  make_home(env);
  auto created = Wal::create(env, kDir, kOwner);
  REQUIRE(created);
  std::vector<raft::Entry> entries;
  for (raft::Index i = 1; i <= 4; ++i) entries.push_back(entry(i, 1));
  REQUIRE((*created)->save({1, 11, 4}, entries));
  const std::string path = kDir + "/" + (*created)->tail_name();
  const std::uint64_t end = (*created)->tail_offset();
  created->reset();
  const std::string intact = env.contents(path).substr(0, end + 64);
  // The type of a record is covered by no checksum: a hard state taken for an entry decodes as one.
  std::set<std::uint64_t> types;
  for (std::uint64_t at = 0; at < end;) {
    types.insert(at + wal::kLengthWordSize + 1);
    const auto word = wal::decode_length_word(base::get_le64(intact.data() + at));
    at += wal::kLengthWordSize + word.length + word.padding;
  }
  std::map<std::string, int> outcomes;
  for (std::uint64_t at = 0; at < intact.size(); ++at) {
    for (const unsigned flip : {0x01u, 0x80u, 0xffu}) {
      CAPTURE(at);
      std::string damaged = intact;
      damaged[at] = static_cast<char>(static_cast<unsigned char>(damaged[at]) ^ flip);
      env.plant(path, damaged);
      auto opened = Wal::open(env, kDir, {}, {.consistent_index = 4});
      if (!opened) {
        ++outcomes[opened.error().code.message()];
        CHECK(opened.error().message().find(kDir) != std::string::npos);
        continue;
      }
      ++outcomes[opened->read.repaired ? "repaired" : "opened"];
      if (types.contains(at)) continue;
      CHECK(opened->read.entries == entries);
      CHECK(opened->read.metadata == kOwner);
    }
  }
  CHECK(outcomes["walpb: crc mismatch"] > 1000);
  CHECK(outcomes["wal: synced data is missing"] > 3);
  for (const auto& [outcome, count] : outcomes) MESSAGE(outcome, ": ", count);
}

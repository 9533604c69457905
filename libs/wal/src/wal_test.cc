#include <etcdpp/wal/wal.h>

#include <doctest/doctest.h>

#include <chrono>
#include <thread>

#include <etcdpp/base/crc32c.h>
#include <etcdpp/base/random.h>
#include <etcdpp/proto/wire.h>
#include <etcdpp/wal/layout.h>
#include <support/fault_env.h>

#include "log_reader.h"

using namespace etcdpp;
using test::FaultEnv;
using wal::Errc;
using wal::Wal;

namespace {

const std::string kDir = "/data/member/wal";
const wal::Metadata kOwner{0xe860b7bb8b36dbde, 0x3f42573304abdde};

raft::Entry entry(raft::Index index, raft::Term term, std::string_view data) {
  return {raft::EntryType::kNormal, term, index, base::SharedBytes(data)};
}

std::unique_ptr<Wal> create(base::Env& env, wal::Options options = {}) {
  auto created = Wal::create(env, kDir, kOwner, std::move(options));
  REQUIRE_MESSAGE(created, created.error().message());
  return std::move(*created);
}

Wal::Opened open(base::Env& env, wal::Options options = {}, wal::OpenOptions open_options = {}) {
  auto markers = wal::valid_snapshots(env, kDir);
  REQUIRE_MESSAGE(markers, markers.error().message());
  REQUIRE(!markers->empty());
  const auto newest = wal::newest_snapshot(env, kDir);
  REQUIRE_MESSAGE(newest, newest.error().message());
  CHECK(newest->index == markers->back().index);
  auto opened = Wal::open(env, kDir, *newest, open_options, std::move(options));
  REQUIRE_MESSAGE(opened, opened.error().message());
  return std::move(*opened);
}

base::Error refused(base::Env& env, wal::OpenOptions open_options = {}) {
  auto opened = Wal::open(env, kDir, {}, open_options);
  REQUIRE(!opened);
  return opened.error();
}

// A framed record, as an independent few lines; the checksum goes on from `crc`.
std::string frame(std::uint64_t type, std::string_view data, std::uint32_t& crc) {
  crc = base::crc32c(crc, data);
  char buffer[64];
  char* at = proto::put_varint_field(buffer, 1, type);
  at = proto::put_varint_field(at, 2, crc);
  at = proto::put_length_field(at, 3, data.size());
  std::string record(buffer, at);
  record += data;
  const std::uint64_t padding = (8 - record.size() % 8) % 8;
  char word[8];
  base::put_le64(word, record.size() | (padding ? (0x80 | padding) << 56 : 0));
  return std::string(word, 8) + record + std::string(padding, '\0');
}

const std::string kFirst = "0000000000000000-0000000000000000.wal";

}  // namespace

TEST_CASE("wal: a new log begins with etcd's bytes") {
  FaultEnv env;
  auto log = create(env);
  CHECK(log->tail_name() == kFirst);
  const std::string bytes = env.contents(kDir + "/" + kFirst);
  REQUIRE(bytes.size() == 64'000'000);
  CHECK(base::hex(base::BytesView(bytes).substr(0, 16)) == "0400000000000084" "0804100000000000");
  // From a log of etcd 3.7.1 with the same ids: offsets and checksums of the metadata and of the marker.
  CHECK(log->tail_offset() == 80);
  const auto frame_at = [&](std::size_t offset) { return base::get_le64(bytes.data() + offset); };
  CHECK(wal::decode_length_word(frame_at(16)).padding == 1);
  CHECK(wal::decode_length_word(frame_at(56)).padding == 2);
  const auto record = [&](std::size_t offset) {
    return wal::decode_record(base::BytesView(bytes).substr(offset + 8, wal::decode_length_word(frame_at(offset)).length)).value();
  };
  CHECK(record(16).type == 1);
  CHECK(record(16).crc == 0x8b4a8910);
  CHECK(record(56).type == 5);
  CHECK(record(56).crc == 0x208c1674);
  CHECK(base::hex(record(56).data) == "08001000");
  CHECK(!env.exists(kDir + ".tmp"));
}

TEST_CASE("wal: what was saved is read, the newest entry of an index and the last hard state") {
  FaultEnv env;
  auto log = create(env);
  const std::vector<raft::Entry> first = {entry(1, 1, "a"), entry(2, 1, ""), entry(3, 1, std::string(300, 'x'))};
  REQUIRE(log->save({1, 7, 1}, first));
  const std::vector<raft::Entry> second = {entry(2, 2, "newer leader")};
  REQUIRE(log->save({2, 9, 2}, second));
  REQUIRE(log->close());
  CHECK(log->sync().error().code == Errc::kPoisoned);

  auto [again, read] = open(env);
  CHECK(read.metadata == kOwner);
  CHECK(wal::read_metadata(env, kDir).value() == kOwner);
  CHECK(read.hard_state == raft::HardState{2, 9, 2});
  CHECK(read.entries == std::vector<raft::Entry>{entry(1, 1, "a"), entry(2, 2, "newer leader")});
  const std::vector<raft::Entry> third = {entry(3, 2, "after a restart")};
  REQUIRE(again->save({}, third));
  again.reset();
  const auto all = wal::read_all(env, kDir, {});
  REQUIRE(all);
  CHECK(all->entries.size() == 3);
  CHECK(all->hard_state == raft::HardState{2, 9, 2});
}

TEST_CASE("wal: a sync is asked for by entries, term and vote, not by a commit index") {
  FaultEnv env;
  auto log = create(env);
  int syncs = 0;
  int writes = 0;
  env.on_call = [&](FaultEnv::Call call, const std::string&) -> std::optional<std::errc> {
    syncs += call == FaultEnv::Call::kSyncData || call == FaultEnv::Call::kSyncAll;
    writes += call == FaultEnv::Call::kWrite;
    return {};
  };
  REQUIRE(log->save({1, 7, 0}, {}));
  CHECK(syncs == 1);
  REQUIRE(log->save({1, 7, 1}, {}));
  CHECK(syncs == 1);
  CHECK(writes == 1);
  REQUIRE(log->save({1, 8, 1}, {}));
  CHECK(syncs == 2);
  REQUIRE(log->save({}, {}));
  CHECK(syncs == 2);
  // What gathers goes with one write and one sync.
  syncs = writes = 0;
  for (raft::Index i = 1; i <= 50; ++i) REQUIRE(log->append({}, std::vector<raft::Entry>{entry(i, 1, std::string(300, 'x'))}));
  CHECK(log->needs_sync());
  REQUIRE(log->sync());
  CHECK(!log->needs_sync());
  CHECK(syncs == 1);
  CHECK(writes == 1);
  REQUIRE(log->save_snapshot({1, 1, raft::ConfState{{7}, {}, {}, {}, false}}));
  CHECK(syncs == 2);
  CHECK(log->save_snapshot({2, 1, {}}).error().code == Errc::kInvalidMarker);
}

TEST_CASE("wal: writes that overflow the buffer end at page boundaries, and large entries come back") {
  FaultEnv env;
  auto log = create(env);
  std::uint64_t file_end = log->tail_offset();
  bool flushing = false;
  wal::Options options;
  log.reset();
  options.on_write = [&](std::size_t bytes) {
    file_end += bytes;
    if (!flushing) CHECK(file_end % 4096 == 0);
  };
  log = open(env, options).wal;
  base::Random random(3);
  std::vector<raft::Entry> entries;
  for (raft::Index i = 1; i <= 300; ++i) {
    const std::size_t size = random.one_in(20) ? random.below(2'000'000) : random.below(3000);
    entries.push_back(entry(i, 1, std::string(size, static_cast<char>('a' + i % 26))));
  }
  REQUIRE(log->append({1, 7, 0}, entries));
  flushing = true;
  REQUIRE(log->sync());
  CHECK(file_end == log->tail_offset());
  log.reset();
  CHECK(open(env).read.entries == entries);
}

TEST_CASE("wal: a full segment is followed by one that repeats checksum, owner and hard state") {
  FaultEnv env;
  wal::Options options;
  options.segment_size = 4096;
  auto log = create(env, options);
  std::vector<raft::Entry> all;
  for (raft::Index i = 1; i <= 60; ++i) {
    if (i == 1) {
      CHECK(log->preallocator().step());
      CHECK(!log->preallocator().step());
      CHECK(env.exists(kDir + "/0.tmp"));
    }
    all.push_back(entry(i, 1, std::string(500, 'x')));
    REQUIRE(log->save({1, 7, i}, std::span(&all.back(), 1)));
    if (i % 2 == 0) static_cast<void>(log->preallocator().step());
  }
  const auto names = wal::list_segments(env, kDir);
  REQUIRE(names);
  REQUIRE(names->size() >= 6);
  for (std::size_t i = 1; i < names->size(); ++i) {
    const auto id = wal::parse_segment_name((*names)[i]);
    CHECK(id->sequence == i);
    // No zeros behind a full segment; the tail is preallocated.
    const std::string bytes = env.contents(kDir + "/" + (*names)[i - 1]);
    CHECK(bytes.size() > 4096);
    const std::string next = env.contents(kDir + "/" + (*names)[i]);
    const auto record_at = [&](std::size_t offset) {
      const auto word = wal::decode_length_word(base::get_le64(next.data() + offset));
      return wal::decode_record(base::BytesView(next).substr(offset + 8, word.length)).value();
    };
    CHECK(record_at(0).type == 4);
    CHECK(record_at(16).type == 1);
    CHECK(record_at(56).type == 3);
  }
  CHECK(log->locked_segments() == names->size());
  log.reset();
  auto opened = open(env, options);
  CHECK(opened.read.entries == all);
  // Only the entries behind a marker, from the segment that its index is in.
  const auto conf = raft::ConfState{{7}, {}, {}, {}, false};
  REQUIRE(opened.wal->save_snapshot({40, 1, conf}));
  opened.wal.reset();
  opened = open(env, options);
  CHECK(opened.read.entries.front().index == 41);
  CHECK(opened.wal->locked_segments() < names->size());

  // Released segments go, held ones stay.
  CHECK(wal::purge_segments(env, kDir, 0).value() == 0);
  const std::size_t before = opened.wal->locked_segments();
  REQUIRE(opened.wal->release_to(40));
  CHECK(opened.wal->locked_segments() <= before);
  const auto purged = wal::purge_segments(env, kDir, 1);
  REQUIRE(purged);
  CHECK(*purged > 0);
  CHECK(wal::list_segments(env, kDir)->size() == opened.wal->locked_segments());
  opened.wal.reset();
  opened = open(env, options);
  CHECK(opened.read.entries.back().index == 60);
}

TEST_CASE("wal: the newest marker is found from the last segment backwards") {
  FaultEnv env;
  wal::Options options;
  options.segment_size = 4096;
  auto log = create(env, options);
  raft::Index last = 0;
  const auto write = [&](int entries) {
    for (int i = 0; i < entries; ++i) {
      const raft::Entry next = entry(++last, 1, std::string(500, 'x'));
      REQUIRE(log->save({1, 7, last}, std::span(&next, 1)));
    }
  };
  const auto newest = [&] { return wal::newest_snapshot(env, kDir).value().index; };
  const auto conf = raft::ConfState{{7}, {}, {}, {}, false};
  CHECK(newest() == 0);
  write(30);
  CHECK(newest() == 0);
  REQUIRE(log->save_snapshot({20, 1, conf}));
  CHECK(newest() == 20);
  write(30);
  CHECK(newest() == 20);
  // Ahead of the commit index, as a crash leaves the marker of a received snapshot.
  REQUIRE(log->save_snapshot({100, 1, raft::ConfState{{7, 8}, {}, {}, {}, false}}));
  CHECK(newest() == 20);
  CHECK(wal::valid_snapshots(env, kDir).value().back().index == 20);
  REQUIRE(log->save_snapshot({60, 1, conf}));
  CHECK(newest() == 60);
  // What no start needs is not read.
  const auto names = wal::list_segments(env, kDir);
  REQUIRE(names);
  REQUIRE(names->size() > 4);
  std::string oldest = env.contents(kDir + "/" + names->front());
  oldest[2000] ^= 1;
  env.plant(kDir + "/" + names->front(), oldest);
  CHECK(newest() == 60);
  CHECK(wal::valid_snapshots(env, kDir).error().code == Errc::kCrcMismatch);
}

TEST_CASE("wal: segments are prepared by another thread while the log is written") {
  FaultEnv env;
  wal::Options options;
  options.segment_size = 2000;
  auto log = create(env, options);
  int prepared = 0;
  std::jthread preparing([&](std::stop_token stop) {
    while (log->preallocator().wait(stop)) prepared += log->preallocator().step();
  });
  std::vector<raft::Entry> all;
  for (raft::Index i = 1; i <= 300; ++i) {
    all.push_back(entry(i, 1, std::string(300, 'x')));
    REQUIRE(log->save({1, 7, 0}, std::span(&all.back(), 1)));
  }
  preparing.request_stop();
  preparing.join();
  CHECK(prepared > 0);
  CHECK(log->locked_segments() > 30);
  log.reset();
  CHECK(!env.exists(kDir + "/0.tmp"));
  CHECK(!env.exists(kDir + "/1.tmp"));
  CHECK(open(env, options).read.entries == all);
}

TEST_CASE("wal: a failed preparation is told by the cut that needs it, after one more try") {
  FaultEnv env;
  wal::Options options;
  options.segment_size = 100;
  auto log = create(env, options);
  env.fail_call(2, std::errc::no_space_on_device);  // open, lock, allocate
  CHECK(log->preallocator().step());
  CHECK(!log->preallocator().step());
  CHECK(!env.exists(kDir + "/0.tmp"));
  const std::vector<raft::Entry> first = {entry(1, 1, std::string(300, 'x'))};
  REQUIRE(log->save({}, first));
  const std::vector<raft::Entry> second = {entry(2, 1, "space again")};
  REQUIRE(log->save({}, second));
  const std::vector<raft::Entry> third = {entry(3, 1, std::string(300, 'x'))};
  REQUIRE(log->save({}, third));
  env.on_call = [](FaultEnv::Call call, const std::string&) -> std::optional<std::errc> {
    if (call == FaultEnv::Call::kAllocate) return std::errc::no_space_on_device;
    return {};
  };
  const std::vector<raft::Entry> fourth = {entry(4, 1, "x")};
  const auto full = log->save({}, fourth);
  REQUIRE(!full);
  CHECK(full.error().code == std::errc::no_space_on_device);
  CHECK(log->save({}, fourth).error().code == Errc::kPoisoned);
  env.on_call = nullptr;
  log.reset();
  CHECK(open(env, options).read.entries.size() >= 3);
}

TEST_CASE("wal: where written zeros sync quicker than allocated blocks, segments are made of them") {
  for (const bool zeros_quicker : {false, true}) {
    FaultEnv env;
    REQUIRE(env.make_directories(kDir));
    base::ManualClock clock;
    int writes_of_zeros = 0;
    env.on_call = [&](FaultEnv::Call call, const std::string& path) -> std::optional<std::errc> {
      const bool of_zeros = path.find("probe-zeros") != std::string::npos;
      if (call == FaultEnv::Call::kSyncData) clock.advance(std::chrono::microseconds(of_zeros == zeros_quicker ? 100 : 300));
      if (call == FaultEnv::Call::kWrite && path.ends_with("0.tmp")) ++writes_of_zeros;
      return {};
    };
    wal::Preallocator preallocator(env, kDir, 3 << 20);
    CHECK(preallocator.probe(clock) == zeros_quicker);
    CHECK(env.list(kDir).value().empty());
    CHECK(preallocator.step());
    CHECK(writes_of_zeros == (zeros_quicker ? 3 : 0));
    const auto prepared = preallocator.take();
    REQUIRE(prepared);
    CHECK(env.contents(prepared->path) == std::string(3 << 20, '\0'));
    env.on_call = nullptr;
  }
}

TEST_CASE("wal: release keeps the segment that the index is in") {
  FaultEnv env;
  wal::Options options;
  options.segment_size = 1;  // every save cuts
  auto log = create(env, options);
  for (raft::Index i = 1; i <= 6; ++i) REQUIRE(log->save({}, std::vector<raft::Entry>{entry(i, 1, "x")}));
  // Segments 0..5 named after 0, 2, 3, 4, 5, 6 or one later, as the cut finds them.
  const std::size_t all = log->locked_segments();
  REQUIRE(log->release_to(0));
  CHECK(log->locked_segments() == all);
  REQUIRE(log->release_to(4));
  log.reset();
  for (const raft::Index start : {raft::Index{4}}) {
    const auto names = wal::segments_from(env, kDir, start);
    REQUIRE(names);
    CHECK(names->size() >= 2);
  }
}

TEST_CASE("wal: two processes cannot hold one log, nor can one be made over another") {
  FaultEnv env;
  auto log = create(env);
  CHECK(refused(env).code == Errc::kLocked);
  CHECK(Wal::create(env, kDir, kOwner).error().code == Errc::kExists);
  REQUIRE(env.make_directories("/mine"));
  env.plant("/mine/letters.txt", "mine");
  CHECK(Wal::create(env, "/mine", kOwner).error().code == Errc::kForeignFiles);
  CHECK(env.contents("/mine/letters.txt") == "mine");
  REQUIRE(env.make_directories("/empty"));
  env.plant("/empty/1.tmp", "leftover");
  CHECK(Wal::create(env, "/empty/", kOwner).has_value());
}

TEST_CASE("wal: a log that ends below what was synced is refused, and says where") {
  FaultEnv env;
  auto log = create(env);
  REQUIRE(log->save({1, 7, 2}, std::vector<raft::Entry>{entry(1, 1, "a"), entry(2, 1, "b")}));
  const std::uint64_t end = log->tail_offset();
  log.reset();
  const auto error = refused(env, {.consistent_index = 3});
  CHECK(error.code == Errc::kLogEndsEarly);
  CHECK(error.message().find("ends at index 2") != std::string::npos);
  CHECK(error.message().find("position: " + std::to_string(end)) != std::string::npos);
  CHECK(error.message().find(kFirst) != std::string::npos);
  CHECK(error.message().find("consistent index is 3") != std::string::npos);
  CHECK(error.message().find("waldump --verify " + kDir) != std::string::npos);
  CHECK(error.message().find("--force-truncate-wal") != std::string::npos);
  CHECK(Wal::open(env, kDir, {}, {.consistent_index = 2}).has_value());

  // A zero length word in the middle hides synced entries; etcd loses them in silence.
  log = open(env).wal;
  REQUIRE(log->save({1, 7, 3}, std::vector<raft::Entry>{entry(3, 1, "c")}));
  log.reset();
  std::string bytes = env.contents(kDir + "/" + kFirst);
  bytes.replace(end, 8, 8, '\0');
  env.plant(kDir + "/" + kFirst, bytes);
  CHECK(refused(env, {.consistent_index = 3}).code == Errc::kLogEndsEarly);
  // And a hard state above the last entry.
  std::uint32_t crc = 0;
  {
    std::vector<wal::OpenSegment> segments = wal::open_segments(env, kDir, {kFirst}, base::OpenMode::kReadOnly).value();
    wal::LogReader reader(segments);
    for (wal::LogReader::Item item; reader.next(item).value();) crc = reader.crc();
  }
  const std::string state = frame(3, std::string_view("\x08\x01\x10\x07\x18\x09", 6), crc);
  bytes.replace(end, state.size(), state);
  bytes.replace(end + state.size(), 8, 8, '\0');
  env.plant(kDir + "/" + kFirst, bytes);
  CHECK(refused(env).code == Errc::kLogEndsEarly);
  CHECK(refused(env).message().find("ends at index 2") != std::string::npos);
  // Forced, the commit index is what the log has.
  {
    auto forced = Wal::open(env, kDir, {}, {.consistent_index = 1, .force = true});
    REQUIRE_MESSAGE(forced, forced.error().message());
    CHECK(forced->read.hard_state.commit == 2);
    CHECK(!forced->read.restarted_from);
  }
  CHECK(open(env).read.hard_state.commit == 2);
}

TEST_CASE("wal: forced, a log that lost synced data begins anew where the database stands") {
  FaultEnv env;
  auto log = create(env);
  REQUIRE(log->save({1, 7, 2}, std::vector<raft::Entry>{entry(1, 1, "a"), entry(2, 1, "b")}));
  const std::uint64_t end = log->tail_offset();
  REQUIRE(log->save({2, 7, 5}, std::vector<raft::Entry>{entry(3, 2, "c"), entry(4, 2, "d"), entry(5, 2, "e")}));
  log.reset();
  std::string bytes = env.contents(kDir + "/" + kFirst);
  bytes.replace(end, 8, 8, '\0');
  env.plant(kDir + "/" + kFirst, bytes);
  const wal::OpenOptions force{.consistent_index = 5, .force = true, .consistent_term = 2, .conf_state = {{kOwner.node_id}, {}, {}, {}, false}};
  {
    auto forced = Wal::open(env, kDir, {}, force);
    REQUIRE_MESSAGE(forced, forced.error().message());
    REQUIRE(forced->read.restarted_from);
    CHECK(forced->read.restarted_from->index == 5);
    CHECK(forced->read.entries.empty());
    CHECK(forced->read.hard_state == raft::HardState{2, 0, 5});
    REQUIRE(forced->wal->save({2, 7, 5}, std::vector<raft::Entry>{entry(6, 2, "f")}));
  }
  // What was hidden is kept, and the log is sound from now on.
  CHECK(env.contents(kDir + "/" + kFirst + ".broken") == bytes);
  const auto again = open(env, {}, {.consistent_index = 6});
  CHECK(again.read.entries.size() == 1);
  CHECK(again.read.entries.front().index == 6);
  CHECK(!again.read.restarted_from);
}

TEST_CASE("wal: a snapshot marker above the log's end is refused where no crash explains it") {
  // A follower's: the crash came between a received snapshot's marker and its hard state.
  for (const bool alone : {false, true}) {
    FaultEnv env;
    auto log = create(env);
    REQUIRE(log->save({1, 7, 1}, std::vector<raft::Entry>{entry(1, 1, "a"), entry(2, 1, "b")}));
    REQUIRE(log->save_snapshot({8, 1, raft::ConfState{alone ? std::vector<raft::NodeId>{kOwner.node_id} : std::vector<raft::NodeId>{1, kOwner.node_id}, {}, {}, {}, false}}));
    log.reset();
    auto opened = Wal::open(env, kDir, {});
    CHECK(opened.has_value() == !alone);
    if (opened) continue;
    CHECK(opened.error().code == Errc::kLogEndsEarly);
    CHECK(opened.error().message().find("a snapshot marker's index is 8") != std::string::npos);
  }
  // One that was taken of entries which are gone.
  FaultEnv env;
  auto log = create(env);
  REQUIRE(log->save({1, 7, 1}, std::vector<raft::Entry>{entry(1, 1, "a"), entry(2, 1, "b"), entry(3, 1, "c")}));
  REQUIRE(log->save_snapshot({3, 1, raft::ConfState{{1, 2}, {}, {}, {}, false}}));
  REQUIRE(log->save({2, 7, 1}, std::vector<raft::Entry>{entry(2, 2, "d")}));
  log.reset();
  CHECK(refused(env).code == Errc::kLogEndsEarly);
}

TEST_CASE("wal: records that make no sense are refused by name") {
  const auto with = [](const std::function<std::string(std::uint32_t&)>& make) {
    FaultEnv env;
    create(env).reset();
    std::string bytes = env.contents(kDir + "/" + kFirst).substr(0, 4096);
    std::uint32_t crc = 0x208c1674;
    const std::string frames = make(crc);
    bytes.replace(80, frames.size(), frames);
    env.plant(kDir + "/" + kFirst, bytes);
    auto opened = Wal::open(env, kDir, {});
    return opened ? std::string("opened") : opened.error().message();
  };
  const auto has = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  CHECK(with([](auto&) { return std::string(); }) == "opened");
  CHECK(with([](auto& crc) { return frame(2, std::string_view("\x08\0\x10\x01\x18\x01", 6), crc); }) == "opened");
  CHECK(has(with([](auto& crc) { return frame(2, std::string_view("\x08\0\x10\x01\x18\x02", 6), crc); }), "slice bounds out of range"));
  CHECK(has(with([](auto& crc) { return frame(1, std::string_view("\x08\x01\x10\x02", 4), crc); }), "conflicting metadata"));
  CHECK(has(with([](auto& crc) { return frame(9, "x", crc); }), "unexpected block type 9"));
  CHECK(has(with([](auto& crc) { return frame(2, "\xff", crc); }), "cannot be decoded"));
  CHECK(has(with([](auto& crc) { return frame(2, std::string_view("\x08\x07", 2), crc); }), "cannot be decoded"));
  CHECK(has(with([](auto& crc) { return frame(5, std::string_view("\x08\0\x10\x05", 4), crc); }), "snapshot mismatch"));
  CHECK(has(with([](auto& crc) {
              std::uint32_t other = crc + 1;
              return frame(3, "\x08\x01", other);
            }), "walpb: crc mismatch: expected: "));
  FaultEnv env;
  CHECK(Wal::open(env, kDir, {}).error().code == std::errc::no_such_file_or_directory);
  REQUIRE(env.make_directories(kDir));
  CHECK(refused(env).code == Errc::kFileNotFound);
  env.plant(kDir + "/0000000000000001-0000000000000009.wal", "");
  CHECK(refused(env).code == Errc::kFileNotFound);
  CHECK(Wal::open(env, kDir, {9, 1, {}}).error().code == Errc::kMetadataMissing);
  env.plant(kDir + "/0000000000000003-0000000000000019.wal", "");
  CHECK(Wal::open(env, kDir, {9, 1, {}}).error().code == Errc::kSegmentMissing);
}

TEST_CASE("wal: bytes behind the end are ignored and never come back") {
  FaultEnv env;
  auto log = create(env);
  REQUIRE(log->save({}, std::vector<raft::Entry>{entry(1, 1, "a")}));
  const std::uint64_t end = log->tail_offset();
  log.reset();
  std::string bytes = env.contents(kDir + "/" + kFirst);
  bytes.replace(end + 8, 64, 64, '\xaa');
  env.plant(kDir + "/" + kFirst, bytes);
  REQUIRE(open(env).read.entries.size() == 1);
  const std::string after = env.contents(kDir + "/" + kFirst);
  CHECK(after.size() == 64'000'000);
  CHECK(after.find_first_not_of('\0', end) == std::string::npos);
}

TEST_CASE("wal: opening syncs what it read before anyone builds on it") {
  FaultEnv env;
  auto log = create(env);
  REQUIRE(log->save({1, 7, 0}, std::vector<raft::Entry>{entry(1, 1, "a")}));
  // Written and not synced, then the process dies: the page cache has it, the disk does not.
  env.on_call = [](FaultEnv::Call call, const std::string&) -> std::optional<std::errc> {
    if (call == FaultEnv::Call::kSyncData) return std::errc::interrupted;
    return {};
  };
  CHECK(!log->save({2, 7, 0}, std::vector<raft::Entry>{entry(2, 2, "b")}));
  CHECK(log->save({3, 7, 0}, {}).error().code == Errc::kPoisoned);
  env.on_call = nullptr;
  env.kill();
  log.reset();
  const auto read = open(env).read;
  env.crash(FaultEnv::Loss::kAll);
  CHECK(open(env).read.entries == read.entries);

  // Pages of a failed sync are not believed.
  log = open(env).wal;
  env.fail_call(1, std::errc::io_error);
  CHECK(!log->save({5, 7, 0}, std::vector<raft::Entry>{entry(read.entries.back().index + 1, 5, "lost")}));
  env.kill();
  log.reset();
  CHECK(open(env).read.entries == read.entries);
}

TEST_CASE("record: the length word and its padding") {
  for (std::uint64_t length = 0; length < 40; ++length) {
    const auto decoded = wal::decode_length_word(wal::encode_length_word(length));
    CHECK(decoded.length == length);
    CHECK((length + decoded.padding) % 8 == 0);
  }
  CHECK(wal::encode_length_word(4) == 0x8400000000000004);
  CHECK(wal::decode_length_word(0x0500000000000008).padding == 0);
}

TEST_CASE("record: torn means a whole piece of a sector is zero") {
  const std::string full(1500, 'x');
  CHECK(!wal::is_torn(100, full));
  std::string hole = full;
  hole.replace(412, 512, 512, '\0');
  CHECK(wal::is_torn(100, hole));
  CHECK(!wal::is_torn(101, hole));
  hole[600] = 'y';
  CHECK(!wal::is_torn(100, hole));
  CHECK(wal::is_torn(508, std::string("\0\0\0\0xxxx", 8)));
  CHECK(!wal::is_torn(0, ""));
}

TEST_CASE("layout: names and nothing but names") {
  CHECK(wal::segment_name({1, 0xabc}) == "0000000000000001-0000000000000abc.wal");
  CHECK(wal::parse_segment_name("0000000000000001-0000000000000abc.wal") == wal::SegmentId{1, 0xabc});
  for (const char* name : {"", "0.tmp", "0000000000000001-0000000000000abc.wal.broken", "0000000000000001-0000000000000abc.wa",
                           "000000000000001-0000000000000abc.wal", "0000000000000001_0000000000000abc.wal", "000000000000000g-0000000000000abc.wal"})
    CHECK(!wal::parse_segment_name(name));
  CHECK(wal::snapshot_file_name({2, 0x65}) == "0000000000000002-0000000000000065.snap");
  CHECK(wal::parse_database_snapshot_name(wal::database_snapshot_name(77)) == 77);
  CHECK(wal::wal_directory("/d") == "/d/member/wal");
}

TEST_CASE("wal: encoding and checksum of 300-byte entries") {
  struct Nowhere final : base::File {
    std::string name;
    const std::string& path() const override { return name; }
    base::Result<std::uint64_t> size() const override { return std::uint64_t{0}; }
    base::Result<std::size_t> read_at(std::uint64_t, char*, std::size_t) override { return std::size_t{0}; }
    base::Result<> write_at(std::uint64_t, std::string_view) override { return {}; }
    base::Result<> sync_data() override { return {}; }
    base::Result<> sync_all() override { return {}; }
    base::Result<> truncate(std::uint64_t) override { return {}; }
    base::Result<> allocate(std::uint64_t) override { return {}; }
    base::Result<> lock(bool) override { return {}; }
    base::Result<> drop_cache() override { return {}; }
  };
  struct NowhereEnv final : base::Env {
    base::Result<std::unique_ptr<base::File>> open(const std::string&, base::OpenMode, unsigned) override {
      return std::unique_ptr<base::File>(std::make_unique<Nowhere>());
    }
    bool exists(const std::string&) override { return false; }
    base::Result<std::vector<std::string>> list(const std::string&) override { return std::vector<std::string>{}; }
    base::Result<> make_directories(const std::string&, unsigned) override { return {}; }
    base::Result<> remove(const std::string&) override { return {}; }
    base::Result<> remove_tree(const std::string&) override { return {}; }
    base::Result<> rename(const std::string&, const std::string&) override { return {}; }
    base::Result<> sync_directory(const std::string&) override { return {}; }
  } env;
  wal::Options options;
  options.segment_size = std::uint64_t{1} << 60;
  auto log = create(env, options);
  std::vector<raft::Entry> batch;
  for (raft::Index i = 1; i <= 60; ++i) batch.push_back(entry(i, 3, std::string(300, 'x')));
  const auto begin = std::chrono::steady_clock::now();
  constexpr int kRounds = 2000;
  for (int round = 0; round < kRounds; ++round) {
    REQUIRE(log->append({}, batch));
    REQUIRE(log->sync());
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const double rate = kRounds * 60 * 300 / seconds / 1e9;
  MESSAGE("encode + checksum: ", rate, " GB/s of payload, ", seconds / kRounds / 60 * 1e9, " ns per entry");
}

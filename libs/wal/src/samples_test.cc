// Logs and snapshot files that a real etcd 3.7.1 wrote, whole and damaged, against what an independent reader and etcd
// itself say of them.

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <etcdpp/base/crc32c.h>
#include <etcdpp/base/random.h>
#include <etcdpp/proto/raft_codec.h>
#include <etcdpp/wal/dump.h>
#include <etcdpp/wal/snapshot_file.h>
#include <etcdpp/wal/wal.h>

#include "log_reader.h"
#include "replay.h"

using namespace etcdpp;
using wal::Errc;

namespace {

const std::string kSamples = "../shared/testdata/etcd";

// A sample unpacked into a directory of its own, or nothing with the reason said.
class Sample {
 public:
  explicit Sample(const std::string& archive) {
    const std::string path = kSamples + "/" + archive;
    if (!std::filesystem::exists(path)) {
      MESSAGE("SKIPPED: ", path, " is not there; nothing of a real etcd's is read");
      return;
    }
    directory_ = std::filesystem::temp_directory_path() / ("etcdpp-wal-test-" + base::hex(base::random_seed()));
    std::filesystem::create_directories(directory_);
    const std::string command = "tar xzf '" + path + "' -C '" + directory_ + "'";
    REQUIRE(std::system(command.c_str()) == 0);
  }
  Sample(const Sample&) = delete;
  Sample& operator=(const Sample&) = delete;
  ~Sample() {
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }
  explicit operator bool() const { return !directory_.empty(); }
  std::string wal() const { return directory_ + "/member/wal"; }
  std::string snap() const { return directory_ + "/member/snap"; }

 private:
  std::string directory_;
};

std::string text(const char* format, auto... values) {
  char buffer[128];
  std::snprintf(buffer, sizeof buffer, format, values...);
  return buffer;
}

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

// One line per record, as the independent reader prints it.
std::string describe(const wal::LogReader::Item& item) {
  std::string fields;
  const auto u = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
  if (item.record.type == 1) {
    const auto owner = wal::decode_metadata(item.record.data).value();
    fields = text("NodeID=%llx ClusterID=%llx", u(owner.node_id), u(owner.cluster_id));
  } else if (item.record.type == 2) {
    const auto entry = proto::decode_entry(item.record.data).value();
    const bool has_type = item.record.data.starts_with('\x08');
    fields = text("Term=%llu Index=%llu Type=", u(entry.term), u(entry.index)) +
             (has_type ? std::to_string(static_cast<int>(entry.type)) : "absent(0)") + " Data=" + base::hex(entry.data.view());
  } else if (item.record.type == 3) {
    const auto state = proto::decode_hard_state(item.record.data).value();
    fields = text("Term=%llu Vote=%llx Commit=%llu", u(state.term), u(state.vote), u(state.commit));
  } else if (item.record.type == 5) {
    const auto marker = wal::decode_marker(item.record.data).value();
    fields = text("Index=%llu Term=%llu ConfState=", u(marker.index), u(marker.term)) +
             (marker.conf_state ? base::hex(base::BytesView(proto::encode_conf_state(*marker.conf_state))) : "");
  }
  const std::size_t bare = wal::frame_size(static_cast<wal::RecordType>(item.record.type), item.record.crc, item.record.data.size());
  std::size_t record = 2 + proto::varint_size(static_cast<std::uint64_t>(item.record.type)) + proto::varint_size(item.record.crc);
  if (item.record.type != 4) record += 1 + proto::varint_size(item.record.data.size()) + item.record.data.size();
  return item.segment->name.substr(0, 16) + text(" @%-8llu %-8s crc=%08x pad=%zu ", u(item.offset), wal::record_type_name(item.record.type).c_str(), item.record.crc, bare - 8 - record) + fields;
}

}  // namespace

TEST_CASE("samples: every record of etcd's logs is what the independent reader says") {
  for (const std::string folder : {"a-datadir", "a2-auth-downgrade"}) {
    const Sample sample(folder + "/datadir.tar.gz");
    if (!sample) return;
    std::ifstream expected(kSamples + "/" + folder + "/wal-records.txt");
    base::Env& env = base::posix_env();
    const auto names = wal::list_segments(env, sample.wal()).value();
    const auto segments = wal::open_segments(env, sample.wal(), names, base::OpenMode::kReadOnly).value();
    wal::LogReader reader(segments);
    std::string line;
    int records = 0;
    for (wal::LogReader::Item item; reader.next(item).value(); ++records) {
      REQUIRE(std::getline(expected, line));
      CHECK(describe(item) == line);
    }
    REQUIRE(std::getline(expected, line));
    CHECK(line == "EOF: " + std::to_string(records) + " records, chain ok");
  }
}

TEST_CASE("samples: etcd's log, framed again from its payloads, is the same bytes") {
  const Sample sample("a-datadir/datadir.tar.gz");
  if (!sample) return;
  base::Env& env = base::posix_env();
  const auto names = wal::list_segments(env, sample.wal()).value();
  const auto segments = wal::open_segments(env, sample.wal(), names, base::OpenMode::kReadOnly).value();
  wal::LogReader reader(segments);
  std::string again;
  std::uint32_t crc = 0;
  for (wal::LogReader::Item item; reader.next(item).value();) {
    const auto type = static_cast<wal::RecordType>(item.record.type);
    crc = base::crc32c(crc, item.record.data);
    std::string frame(wal::frame_size(type, crc, item.record.data.size()), '\0');
    char* at = frame.data() + wal::kLengthWordSize;
    at = proto::put_varint_field(at, 1, static_cast<std::uint64_t>(type));
    at = proto::put_varint_field(at, 2, crc);
    if (type != wal::RecordType::kCrc) {
      at = proto::put_length_field(at, 3, item.record.data.size());
      at = std::copy(item.record.data.begin(), item.record.data.end(), at);
    }
    base::put_le64(frame.data(), wal::encode_length_word(static_cast<std::uint64_t>(at - frame.data()) - wal::kLengthWordSize));
    again += frame;
  }
  const std::string bytes = slurp(sample.wal() + "/" + names[0]);
  CHECK(again == bytes.substr(0, again.size()));
  CHECK(bytes.find_first_not_of('\0', again.size()) == std::string::npos);
}

TEST_CASE("samples: what etcd saved, saved by us, differs by the entry types that etcd leaves out") {
  // The same log with the types written out, made by the independent rewriter.
  const Sample sample("a-datadir/datadir-wal-explicit-type.tar.gz");
  if (!sample) return;
  base::Env& env = base::posix_env();
  const auto names = wal::list_segments(env, sample.wal()).value();
  const auto segments = wal::open_segments(env, sample.wal(), names, base::OpenMode::kReadOnly).value();
  wal::LogReader reader(segments);
  const std::string ours = sample.wal() + "-ours";
  std::unique_ptr<wal::Wal> log;
  wal::LogReader::Item item;
  while (reader.next(item).value()) {
    const auto type = static_cast<wal::RecordType>(item.record.type);
    if (type == wal::RecordType::kMetadata) {
      log = wal::Wal::create(env, ours, wal::decode_metadata(item.record.data).value()).value();
    } else if (type == wal::RecordType::kEntry) {
      const auto entry = proto::decode_entry(item.record.data).value();
      REQUIRE(log->append({}, std::span(&entry, 1)));
    } else if (type == wal::RecordType::kState) {
      REQUIRE(log->append(proto::decode_hard_state(item.record.data).value(), {}));
    } else if (type == wal::RecordType::kSnapshot) {
      const auto marker = wal::decode_marker(item.record.data).value();
      if (marker.index > 0) REQUIRE(log->save_snapshot(marker));
    }
  }
  REQUIRE(log->close());
  CHECK(slurp(ours + "/" + names[0]) == slurp(sample.wal() + "/" + names[0]));
}

TEST_CASE("samples: etcd's data directory opens from its newest marker") {
  const Sample sample("a-datadir/datadir.tar.gz");
  if (!sample) return;
  base::Env& env = base::posix_env();
  const auto markers = wal::valid_snapshots(env, sample.wal());
  REQUIRE(markers);
  REQUIRE(markers->size() == 3);
  CHECK(markers->back().index == 202);
  auto opened = wal::Wal::open(env, sample.wal(), markers->back(), {.consistent_index = 249});
  REQUIRE_MESSAGE(opened, opened.error().message());
  CHECK(opened->read.metadata == wal::Metadata{0xe860b7bb8b36dbde, 0x3f42573304abdde});
  CHECK(opened->read.entries.front().index == 203);
  CHECK(opened->read.entries.back().index == 249);
  CHECK(opened->read.hard_state.commit == 249);
}

TEST_CASE("samples: damaged logs start, are repaired or are refused as by etcd") {
  struct Case {
    const char* name;
    Errc refused;  // 0: starts
    bool repaired;
    raft::Index last;
    std::uint64_t offset;  // where the log ends, or the damage is
  };
  // Where etcd starts, its log then ends two entries later (results.json: raftIndexAfterStart).
  const Case cases[] = {
      {"intact", Errc{}, false, 18, 0},
      {"torn-zero-sectors", Errc{}, true, 17, 1568},
      {"torn-hole-sector-mid-record", Errc{}, true, 17, 1568},
      {"torn-truncated", Errc{}, true, 17, 1568},
      {"torn-short-length", Errc{}, true, 17, 1568},
      {"torn-length-only", Errc{}, true, 17, 1568},
      {"torn-length-too-big", Errc{}, true, 17, 1568},
      {"garbage-after-tail", Errc{}, true, 18, 4656},
      {"garbage-beyond-zero-gap", Errc{}, false, 18, 0},
      {"zero-length-mid", Errc{}, false, 6, 0},
      {"crc-last-entry", Errc::kCrcMismatch, false, 0, 1568},
      {"crc-mid", Errc::kCrcMismatch, false, 0, 664},
      {"badproto-last", Errc::kBadRecord, false, 0, 4624},
  };
  base::Env& env = base::posix_env();
  for (const Case& each : cases) {
    CAPTURE(std::string(each.name));
    const Sample sample(std::string("c-wal-damage/") + each.name + ".wal.tar.gz");
    if (!sample) return;
    const auto markers = wal::valid_snapshots(env, sample.wal());
    auto opened = wal::Wal::open(env, sample.wal(), {});
    if (each.refused != Errc{}) {
      REQUIRE(!opened);
      CHECK(opened.error().code == each.refused);
      CHECK(opened.error().message().find("position: " + std::to_string(each.offset)) != std::string::npos);
      CHECK(!markers);  // etcd's boot fails here already
      continue;
    }
    REQUIRE_MESSAGE(opened, opened.error().message());
    CHECK(markers.value().back().index == 0);
    CHECK(opened->read.repaired == each.repaired);
    CHECK(opened->read.entries.back().index == each.last);
    const std::string path = sample.wal() + "/" + opened->wal->tail_name();
    CHECK(std::filesystem::exists(path + ".broken") == each.repaired);
    if (each.repaired) CHECK(std::filesystem::file_size(path) == each.offset);
  }
}

TEST_CASE("samples: the dump's verdict names each damage and its byte") {
  struct Case {
    const char* name;
    wal::Ending ending;
    const char* place;
  };
  using wal::Ending;
  const Case cases[] = {
      {"intact", Ending::kIntact, "ends at byte 4656 of"},
      {"torn-zero-sectors", Ending::kTornTail, "crc mismatch at byte 1568 of"},
      {"torn-hole-sector-mid-record", Ending::kTornTail, "crc mismatch at byte 1568 of"},
      {"torn-truncated", Ending::kTornTail, "beyond the file at byte 1568 of"},
      {"torn-short-length", Ending::kTornTail, "within a length word at byte 1568 of"},
      {"torn-length-only", Ending::kTornTail, "no record at byte 1568 of"},
      {"torn-length-too-big", Ending::kTornTail, "beyond the file at byte 1568 of"},
      {"garbage-after-tail", Ending::kTornTail, "beyond the file at byte 4656 of"},
      {"garbage-beyond-zero-gap", Ending::kHiddenData, "follow at 6192"},
      {"zero-length-mid", Ending::kHiddenData, "zero length word at byte 664 of"},
      {"crc-last-entry", Ending::kDamaged, "crc mismatch at byte 1568 of"},
      {"crc-mid", Ending::kDamaged, "crc mismatch at byte 664 of"},
      {"badproto-last", Ending::kDamaged, "no record at byte 4624 of"},
  };
  for (const Case& each : cases) {
    CAPTURE(std::string(each.name));
    const Sample sample(std::string("c-wal-damage/") + each.name + ".wal.tar.gz");
    if (!sample) return;
    std::string out;
    const std::vector<std::string> paths = {sample.wal()};
    const auto ending = wal::dump(base::posix_env(), paths, {}, {}, [&](base::BytesView piece) {
      out += piece;
      return true;
    });
    REQUIRE(ending);
    CHECK(*ending == each.ending);
    CHECK(out.find(each.place, out.find("verdict: ")) != std::string::npos);
  }
}

TEST_CASE("samples: what etcd starts with and has lost is refused when the database knows better") {
  base::Env& env = base::posix_env();
  const Sample sample("c-wal-damage/zero-length-mid.wal.tar.gz");
  if (!sample) return;
  const auto opened = wal::Wal::open(env, sample.wal(), {}, {.consistent_index = 18});
  REQUIRE(!opened);
  CHECK(opened.error().code == Errc::kLogEndsEarly);
  CHECK(opened.error().message().find("position: 664") != std::string::npos);
}

TEST_CASE("samples: etcd's snapshot files read, and made from the membership are the same bytes") {
  const Sample sample("a-datadir/datadir.tar.gz");
  if (!sample) return;
  base::Env& env = base::posix_env();
  const auto names = wal::list_snapshot_files(env, sample.snap()).value();
  REQUIRE(names == std::vector<std::string>{"0000000000000002-00000000000000ca.snap", "0000000000000002-0000000000000065.snap"});
  const std::vector<wal::StoreMember> members = {
      {0xe860b7bb8b36dbde, {"http://127.0.0.1:24011"}, false, "s1", {"http://127.0.0.1:24010"}}};
  const std::vector<std::uint64_t> removed = {0xff4f410f24065981};
  const std::string ours = sample.snap() + "-ours";
  REQUIRE(env.make_directories(ours));
  for (const std::string& name : names) {
    auto snapshot = wal::read_snapshot_file(env, sample.snap() + "/" + name);
    REQUIRE(snapshot);
    CHECK(snapshot->metadata.index == wal::parse_snapshot_file_name(name)->index);
    CHECK(snapshot->metadata.conf_state.voters == std::vector<raft::NodeId>{0xe860b7bb8b36dbde});
    const bool removal = snapshot->metadata.index > 118;
    const base::Bytes document = wal::encode_store_document(members, removal ? std::span(removed) : std::span<const std::uint64_t>(), "3.7.0");
    CHECK(snapshot->data.view() == document);
    snapshot->data = base::SharedBytes(document);
    REQUIRE(wal::write_snapshot_file(env, ours, *snapshot));
    CHECK(slurp(ours + "/" + name) == slurp(sample.snap() + "/" + name));
  }
}

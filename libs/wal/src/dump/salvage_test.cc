#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include <etcdpp/base/random.h>
#include <etcdpp/wal/dump.h>
#include <etcdpp/wal/wal.h>
#include <support/fault_env.h>

#include "frame_walker.h"
#include "log_walker.h"

using namespace etcdpp;
using test::FaultEnv;
using wal::Ending;

namespace {

const std::string kDir = "/d/member/wal";
const wal::Metadata kOwner{0xe860b7bb8b36dbde, 0x3f42573304abdde};
const raft::ConfState kAlone{{kOwner.node_id}, {}, {}, {}, false};

struct Frame {
  std::string file;
  std::uint64_t offset;
  std::uint64_t size;
  std::int64_t type;
  std::uint64_t index;  // of an entry
  std::string payload;
};

std::vector<Frame> frames_of(FaultEnv& env, const std::string& directory) {
  std::vector<Frame> frames;
  const auto logs = wal::find_logs(env, std::span(&directory, 1));
  REQUIRE_MESSAGE(logs, logs.error().message());
  const wal::DumpHooks none;
  wal::LogWalker walker(env, logs->front(), none);
  while (walker.next().value()) {
    const wal::FoundFrame& frame = walker.frame();
    if (frame.broken()) continue;
    frames.push_back({walker.path(), frame.offset, 8 + frame.length.length + frame.length.padding, frame.record.type,
                      walker.entry() ? walker.entry()->index : 0, std::string(frame.record.data)});
  }
  return frames;
}

// Several small segments, a snapshot marker on the way, values of all sizes.
void make_log(FaultEnv& env, base::Random& random) {
  REQUIRE(env.make_directories("/d/member"));
  wal::Options options;
  options.segment_size = 5000;
  auto log = wal::Wal::create(env, kDir, kOwner, options).value();
  raft::Index index = 0;
  for (int round = 0; round < 40; ++round) {
    std::vector<raft::Entry> batch;
    for (std::uint64_t i = 0; i < 1 + random.below(3); ++i) {
      ++index;
      std::string data(random.below(4) == 0 ? random.below(1500) : random.below(80), '\0');
      for (char& c : data) c = static_cast<char>(random.next());
      batch.push_back({raft::EntryType::kNormal, 1 + index / 30, index, base::SharedBytes(data)});
    }
    REQUIRE(log->save({1 + index / 30, kOwner.node_id, index}, batch));
    if (round == 20) REQUIRE(log->save_snapshot({index, 1 + index / 30, kAlone}));
  }
  REQUIRE(log->close());
}

std::pair<Ending, std::string> salvage(FaultEnv& env, const std::string& target, bool json = false) {
  std::string text;
  const auto ending = wal::salvage(env, std::span(&kDir, 1), target, {.json = json}, {}, [&](base::BytesView piece) {
    text += piece;
    return true;
  });
  REQUIRE_MESSAGE(ending, ending.error().message());
  return {*ending, text};
}

Ending verify(FaultEnv& env, const std::string& path, std::string* text = nullptr) {
  const auto ending = wal::verify(env, std::span(&path, 1), {}, {}, [&](base::BytesView piece) {
    if (text) *text += piece;
    return true;
  });
  REQUIRE_MESSAGE(ending, ending.error().message());
  return *ending;
}

void harm(std::string& bytes, const Frame& frame, base::Random& random) {
  const auto at = static_cast<std::size_t>(frame.offset);
  const auto size = static_cast<std::size_t>(frame.size);
  const auto flip = [&](std::size_t place) { bytes[place] = static_cast<char>(bytes[place] ^ static_cast<char>(1 << random.below(8))); };
  switch (random.below(8)) {
    case 0: flip(at + 8 + random.below(size - 8)); break;                    // anywhere in the record or its padding
    case 1: flip(at + random.below(8)); break;                               // the length word
    case 2: std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), 8, '\0'); break;   // no length word at all
    case 3: std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), size, '\0'); break;  // nothing is left
    case 4: std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at + 8), size - 8, '\0'); break;
    case 5:  // noise over all of it
      for (std::size_t i = 0; i < size; ++i) bytes[at + i] = static_cast<char>(random.next());
      break;
    case 6:  // noise over length word and head
      for (std::size_t i = 0; i < std::min<std::size_t>(size, 20); ++i) bytes[at + i] = static_cast<char>(random.next());
      break;
    default: flip(at + 8 + random.below(std::min<std::size_t>(size - 8, 12)));  // type, checksum, length of the data
  }
}

}  // namespace

TEST_CASE("salvage: of a log with k damaged frames, all others come back") {
  std::uint64_t lost = 0;
  for (std::uint64_t seed = 1; seed <= 600; ++seed) {
    CAPTURE(seed);
    base::Random random(seed);
    FaultEnv env;
    make_log(env, random);
    const std::vector<Frame> frames = frames_of(env, kDir);
    std::set<std::size_t> harmed;
    const std::uint64_t k = seed % 9;
    while (harmed.size() < k) harmed.insert(random.below(frames.size()));
    for (const std::size_t i : harmed) {
      std::string bytes = env.contents(frames[i].file);
      harm(bytes, frames[i], random);
      env.plant(frames[i].file, bytes);
    }
    const std::string target = "/saved";
    const auto [ending, text] = salvage(env, target);
    if (k == 0) CHECK(ending == Ending::kIntact);

    // In order, each with its own bytes.
    const std::vector<Frame> saved = frames_of(env, target);
    auto at = saved.begin();
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const Frame& frame = frames[i];
      if (frame.type == 1 || frame.type == 4) continue;  // each segment has them anyway, see below
      const auto found = std::find_if(at, saved.end(), [&](const Frame& s) { return s.type == frame.type && s.payload == frame.payload; });
      if (harmed.contains(i)) {
        if (found == saved.end()) ++lost;
        continue;
      }
      CAPTURE(i);
      CAPTURE(text);
      REQUIRE(found != saved.end());
      at = std::next(found);
    }
    // Nothing was made up, but a marker for each hole. A damaged record is among the saved ones only where damage close before it
    // hides that it is: two checksums that do not fit do not say which of them is wrong.
    std::size_t hidden = 0;
    for (const std::size_t i : harmed) hidden += harmed.contains(i - 1) || harmed.contains(i - 2) ? 1 : 0;
    std::size_t strange = 0;
    for (const Frame& frame : saved) {
      if (frame.type != 2 && frame.type != 3) continue;
      if (std::none_of(frames.begin(), frames.end(), [&](const Frame& f) { return f.type == frame.type && f.payload == frame.payload; })) ++strange;
    }
    CHECK(strange <= hidden + (text.find("missing") == std::string::npos ? 0 : 1));
    // Of several segments one at least says whose it is.
    CHECK(wal::read_metadata(env, target).value() == kOwner);
    std::string said;
    const Ending verdict = verify(env, target, &said);
    CAPTURE(said);
    CHECK((verdict == Ending::kIntact || (verdict == Ending::kContradiction && strange > 0)));
    const auto markers = wal::valid_snapshots(env, target);
    REQUIRE_MESSAGE(markers, markers.error().message());
    REQUIRE(!markers->empty());
    const auto opened = wal::Wal::open(env, target, markers->back(), {.consistent_index = markers->back().index});
    REQUIRE_MESSAGE(opened, opened.error().message());
  }
  CHECK(lost > 100);
}

TEST_CASE("salvage: a whole log comes back byte for byte, but for preallocated zeros") {
  base::Random random(3);
  FaultEnv env;
  make_log(env, random);
  const auto names = env.list(kDir).value();
  CHECK(salvage(env, "/saved").first == Ending::kIntact);
  CHECK(env.list("/saved").value() == names);
  for (const std::string& name : names) {
    const std::string before = env.contents(kDir + "/" + name);
    const std::string after = env.contents("/saved/" + name);
    CAPTURE(name);
    CHECK(before.starts_with(after));
    CHECK(before.find_first_not_of('\0', after.size()) == std::string::npos);
  }
}

TEST_CASE("salvage: a missing segment, and data behind a zeroed page") {
  base::Random random(4);
  FaultEnv env;
  make_log(env, random);
  const auto names = env.list(kDir).value();
  REQUIRE(names.size() > 3);
  const auto before = frames_of(env, kDir);
  REQUIRE(env.remove(kDir + "/" + names[2]));
  std::string bytes = env.contents(kDir + "/" + names[3]);
  std::fill_n(bytes.begin() + 1024, 512, '\0');
  env.plant(kDir + "/" + names[3], bytes);
  CHECK(verify(env, kDir) == Ending::kDamaged);
  const auto [ending, text] = salvage(env, "/saved");
  CHECK(ending == Ending::kDamaged);
  CHECK(text.find("missing  entries") != std::string::npos);
  CHECK(verify(env, "/saved") == Ending::kIntact);
  CHECK(frames_of(env, "/saved").back().payload == before.back().payload);
}

TEST_CASE("salvage: writes into a new directory only, and leaves the log as it is") {
  base::Random random(5);
  FaultEnv env;
  make_log(env, random);
  std::vector<std::string> written;
  env.on_call = [&](FaultEnv::Call call, const std::string& path) -> std::optional<std::errc> {
    if (call != FaultEnv::Call::kRead && call != FaultEnv::Call::kOpen) written.push_back(path);
    return {};
  };
  salvage(env, "/saved/");
  env.on_call = nullptr;
  CHECK(!written.empty());
  for (const std::string& path : written) CHECK((path == "/" || path.starts_with("/saved")));
  const auto again = wal::salvage(env, std::span(&kDir, 1), "/saved", {}, {}, [](base::BytesView) { return true; });
  CHECK(again.error().code == wal::Errc::kTargetExists);
}

// A log's file or a .snap file with any content: waldump's reader and questions come to an end and agree with the reader that a
// start uses; salvage makes a log that is whole.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <etcdpp/base/crc32c.h>
#include <etcdpp/wal/dump.h>
#include <etcdpp/wal/snapshot_file.h>
#include <etcdpp/wal/wal.h>
#include <support/fault_env.h>

using namespace etcdpp;
using wal::Ending;

namespace {

const std::string kDir = "/d/member/wal";
const std::string kFirst = kDir + "/0000000000000000-0000000000000000.wal";
const std::string kSnap = "/d/member/snap/0000000000000001-0000000000000001.snap";

void require(bool holds) {
  if (!holds) std::abort();
}

bool nowhere(base::BytesView) { return true; }

// Any bytes as a record's data are rarely reached through a checksum: they are framed here, so that decoders see them.
std::string framed(std::string_view data, int type, std::uint32_t& crc) {
  crc = base::crc32c(crc, data);
  const auto varint = [](std::uint64_t value) {
    std::string out;
    for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
    return out + static_cast<char>(value);
  };
  std::string record = std::string("\x08") + static_cast<char>(type) + "\x10" + varint(crc);
  if (type != 4) record += "\x1a" + varint(data.size()) + std::string(data);
  char word[8];
  base::put_le64(word, wal::encode_length_word(record.size()));
  record.resize((record.size() + 7) / 8 * 8);
  return std::string(word, 8) + record;
}

// `question`: one of eight, since each reads the log anew.
void ask(test::FaultEnv& env, unsigned question) {
  const std::vector<std::string> paths = {"/d"};
  const auto verdict = wal::verify(env, paths, {}, {}, nowhere);
  require(verdict.has_value());
  wal::DumpOptions options;
  options.style.json = question % 2 == 1;
  options.hex = true;
  options.show_damaged = true;
  switch (question) {
    case 0:
    case 1: require(wal::dump(env, paths, options, {}, nowhere).value() == *verdict); break;
    case 2:
      options.filter.key = "k";
      options.since_snapshot = true;
      require(wal::dump(env, paths, options, {}, nowhere).value() == *verdict);
      break;
    case 3: require(wal::summarise(env, paths, {}, options.style, {}, nowhere).value() == *verdict); break;
    case 4: require(wal::history(env, paths, "k", options.style, {}, nowhere).value() == *verdict); break;
    case 5: require(wal::diff(env, "/d", "/d", options.style, {}, nowhere).has_value()); break;
    default: {
      require(wal::salvage(env, paths, "/saved", options.style, {}, nowhere).has_value());
      const std::vector<std::string> saved = {"/saved"};
      const auto after = wal::verify(env, saved, {}, {}, nowhere);
      require(after.has_value() && *after != Ending::kTornTail && *after != Ending::kHiddenData);
    }
  }

  // The reader of a start, last: it may cut.
  static_cast<void>(wal::read_all(env, kDir, {}));
  static_cast<void>(wal::minimal_version(env, kDir, 0));
  const auto markers = wal::valid_snapshots(env, kDir);
  const auto newest = wal::newest_snapshot(env, kDir);
  if (markers) require(newest.has_value() && newest->index == (markers->empty() ? 0 : markers->back().index));
  const auto opened = wal::Wal::open(env, kDir, {});
  if (!opened) require(opened.error().message().find("waldump --verify") != std::string::npos);
  if (opened && opened->read.repaired) require(*verdict == Ending::kTornTail || *verdict == Ending::kDamaged);
  if (*verdict == Ending::kTornTail) require(opened.has_value() && opened->read.repaired);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  test::FaultEnv env;
  if (data[0] % 4 == 0) {
    env.plant(kSnap, std::string(bytes));
    static_cast<void>(wal::read_snapshot_file(env, kSnap));
    return 0;
  }
  std::string file(bytes);
  if (data[0] % 4 > 1) {
    // Records of any content, each a length byte and its data, in sound frames.
    std::uint32_t crc = 0;
    file = framed({}, 4, crc) + framed(std::string_view("\x08\x0b\x10\x16", 4), 1, crc) + framed(std::string_view("\x08\x00\x10\x00", 4), 5, crc);
    for (std::size_t at = 0; at < bytes.size();) {
      const int type = 1 + static_cast<unsigned char>(bytes[at]) % 5;
      const std::size_t length = at + 1 < bytes.size() ? static_cast<unsigned char>(bytes[at + 1]) : 0;
      at += 2;
      if (at > bytes.size()) break;
      file += framed(bytes.substr(at, length), type, crc);
      at += length;
    }
    file.append(data[0] % 4 == 3 ? 600 : 0, '\0');
  }
  env.plant(kFirst, file);
  ask(env, data[0] / 4 % 8);
  return 0;
}

// Writes a log of entries of one size, as a busy member leaves it, for measuring what reads logs.

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <etcdpp/base/random.h>
#include <etcdpp/proto/wire.h>
#include <etcdpp/wal/wal.h>

using namespace etcdpp;

namespace {

// An InternalRaftRequest {4 put {1 key, 2 value}, 100 header {1 ID}}.
std::string put_request(std::uint64_t id, const std::string& key, const std::string& value) {
  const auto field = [](unsigned number, const std::string& bytes) {
    char head[1 + proto::kMaxVarintSize];
    return std::string(head, proto::put_length_field(head, number, bytes.size())) + bytes;
  };
  char header[1 + proto::kMaxVarintSize];
  const std::string id_field(header, proto::put_varint_field(header, 1, id));
  return field(4, field(1, key) + field(2, value)) + "\xa2\x06" + static_cast<char>(id_field.size()) + id_field;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: wal_log <wal directory> <megabytes> <bytes of a value> <entries of a batch>\n");
    return 2;
  }
  const std::uint64_t bytes = std::strtoull(argv[2], nullptr, 10) * 1'000'000;
  const std::size_t value_size = std::strtoull(argv[3], nullptr, 10);
  const std::size_t batch_size = std::strtoull(argv[4], nullptr, 10);
  base::Random random(1);
  std::string value(value_size, '\0');
  for (char& c : value) c = static_cast<char>(random.next());

  wal::Options options;
  options.unsafe_no_fsync = true;
  auto log = wal::Wal::create(base::posix_env(), argv[1], {1, 2}, options);
  if (!log) {
    std::fprintf(stderr, "wal_log: %s\n", log.error().message().c_str());
    return 1;
  }
  std::uint64_t index = 0;
  for (std::uint64_t written = 0; written < bytes;) {
    std::vector<raft::Entry> batch;
    for (std::size_t i = 0; i < batch_size; ++i) {
      ++index;
      batch.push_back({raft::EntryType::kNormal, 2, index,
                       base::SharedBytes(put_request(0x1234'5678'9abc'def0 + index, "app/" + std::to_string(random.below(100'000)), value))});
      written += batch.back().data.size() + 40;
    }
    if (auto saved = (*log)->save({2, 1, index - batch_size}, batch); !saved) {
      std::fprintf(stderr, "wal_log: %s\n", saved.error().message().c_str());
      return 1;
    }
  }
  return (*log)->close() ? 0 : 1;
}

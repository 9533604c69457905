#include <etcdpp/wal/snapshot_file.h>

#include <algorithm>

#include <etcdpp/base/crc32c.h>
#include <etcdpp/proto/raft_codec.h>

namespace etcdpp::wal {

namespace {

// A conf state and a list of members: a file beyond this is none.
constexpr std::uint64_t kMaxFileSize = 512u << 20;

base::Result<> write_whole(base::Env& env, const std::string& path, base::BytesView bytes) {
  ETCDPP_ASSIGN(const auto file, env.open(path, base::OpenMode::kCreateTruncate, 0666));
  ETCDPP_TRY(file->write_at(0, bytes));
  return file->sync_all();
}

base::Result<std::vector<std::string>> names_ending(base::Env& env, const std::string& directory, const std::string& suffix) {
  ETCDPP_ASSIGN(std::vector<std::string> names, env.list(directory));
  std::erase_if(names, [&](const std::string& name) { return !name.ends_with(suffix); });
  return names;
}

}  // namespace

base::Result<> write_snapshot_file(base::Env& env, const std::string& directory, const raft::Snapshot& snapshot) {
  if (snapshot.empty()) return {};
  const base::Bytes data = proto::encode_snapshot(snapshot);
  base::Bytes file(2 * (1 + proto::kMaxVarintSize), '\0');
  char* at = proto::put_varint_field(file.data(), 1, base::crc32c(0, data));
  at = proto::put_length_field(at, 2, data.size());
  file.resize(static_cast<std::size_t>(at - file.data()));
  file += data;
  const std::string path = directory + "/" + snapshot_file_name({snapshot.metadata.term, snapshot.metadata.index});
  if (auto written = write_whole(env, path, file); !written) {
    static_cast<void>(env.remove(path));
    return written.error();
  }
  return env.sync_directory(directory);
}

base::Result<raft::Snapshot> read_snapshot_file(base::Env& env, const std::string& path) {
  ETCDPP_ASSIGN(const auto file, env.open(path, base::OpenMode::kReadOnly));
  ETCDPP_ASSIGN(const std::uint64_t size, file->size());
  if (size == 0) return base::Error(Errc::kEmptySnapshot, path);
  if (size > kMaxFileSize) return base::Error(Errc::kBadRecord, path + ": too large for a snapshot file");
  base::Bytes bytes(static_cast<std::size_t>(size), '\0');
  ETCDPP_ASSIGN(const std::size_t got, file->read_at(0, bytes.data(), bytes.size()));
  bytes.resize(got);

  std::uint32_t crc = 0;
  base::BytesView data;
  proto::WireReader reader(bytes);
  while (reader.next()) {
    if (reader.number() == 1 && reader.is_varint()) crc = static_cast<std::uint32_t>(reader.varint());
    else if (reader.number() == 2 && reader.is_bytes()) data = reader.bytes();
  }
  if (!reader.ok()) return base::Error(Errc::kBadRecord, path);
  if (data.empty() || crc == 0) return base::Error(Errc::kEmptySnapshot, path);
  if (base::crc32c(0, data) != crc) return base::Error(Errc::kSnapshotCrcMismatch, path);
  auto snapshot = proto::decode_snapshot(data);
  if (!snapshot) return base::Error(Errc::kBadRecord, path);
  return snapshot;
}

base::Result<std::vector<std::string>> list_snapshot_files(base::Env& env, const std::string& directory) {
  ETCDPP_ASSIGN(std::vector<std::string> names, env.list(directory));
  for (const std::string& name : names)
    if (name.starts_with("db.tmp")) ETCDPP_TRY(env.remove(directory + "/" + name));
  std::erase_if(names, [](const std::string& name) { return !name.ends_with(".snap"); });
  std::reverse(names.begin(), names.end());
  return names;
}

base::Result<raft::Snapshot> load_newest_snapshot(base::Env& env, const std::string& directory, base::Logger& logger) {
  ETCDPP_ASSIGN(const std::vector<std::string> names, list_snapshot_files(env, directory));
  for (const std::string& name : names) {
    const std::string path = directory + "/" + name;
    auto snapshot = read_snapshot_file(env, path);
    if (snapshot) return snapshot;
    logger.warn("failed to read a snap file", {{"path", path}, {"error", snapshot.error().message()}});
    if (auto renamed = env.rename(path, path + ".broken"); !renamed)
      logger.warn("failed to rename broken snap file", {{"path", path}, {"error", renamed.error().message()}});
  }
  return base::Error(Errc::kNoSnapshot, directory);
}

base::Result<std::size_t> purge_snapshots(base::Env& env, const std::string& directory, const std::string& suffix,
                                          std::size_t keep, base::Logger& logger) {
  if (keep == 0) return std::size_t{0};
  ETCDPP_ASSIGN(const std::vector<std::string> names, names_ending(env, directory, suffix));
  std::size_t purged = 0;
  for (; names.size() - purged > keep; ++purged) {
    ETCDPP_TRY(env.remove(directory + "/" + names[purged]));
    logger.info("purged", {{"path", directory + "/" + names[purged]}});
  }
  return purged;
}

base::Result<> remove_database_snapshots_below(base::Env& env, const std::string& directory, std::uint64_t index) {
  ETCDPP_ASSIGN(const std::vector<std::string> names, names_ending(env, directory, ".snap.db"));
  for (const std::string& name : names) {
    const auto at = parse_database_snapshot_name(name);
    if (at && *at < index) ETCDPP_TRY(env.remove(directory + "/" + name));
  }
  return {};
}

}  // namespace etcdpp::wal

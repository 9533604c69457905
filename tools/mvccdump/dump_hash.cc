#include <ostream>

#include <etcdpp/base/crc32c.h>
#include <etcdpp/mvcc/errc.h>
#include <etcdpp/mvcc/hash_kv.h>
#include <etcdpp/mvcc/key_value.h>

#include "dump.h"
#include "rebuilt_index.h"

namespace etcdpp::mvccdump {

namespace {

using backend::Bucket;
using backend::DatabaseFile;

base::Result<mvcc::KeyValueHash> hash_key_values(DatabaseFile& database, const RebuiltIndex& rebuilt, std::int64_t revision) {
  if (revision < rebuilt.compact_revision) return base::Error(mvcc::Errc::kCompacted, std::to_string(revision));
  if (revision > rebuilt.revision) return base::Error(mvcc::Errc::kFutureRevision, std::to_string(revision));
  const mvcc::IndexRoot root = rebuilt.index.current();
  constexpr auto kTombstones = mvcc::IndexRoot::Tombstones::kLeaveOut;
  mvcc::RowHash hash(rebuilt.compact_revision, revision, !root.keeps_any(revision, kTombstones));
  ETCDPP_TRY(database.scan_bucket(Bucket::kKey, [&](const DatabaseFile::FileRow& row) -> base::Result<> {
    const auto at = mvcc::decode_row_key(row.key);
    if (!row.intact || !at) return {};
    const auto kept = [&] {
      const auto kv = mvcc::decode_key_value(row.value);
      return kv && root.keeps(kv->key, at->revision, revision, kTombstones);
    };
    if (hash.counts(*at, kept)) hash.add(row.key, row.value);
    return {};
  }));
  return hash.result();
}

base::Result<std::uint32_t> hash_all(DatabaseFile& database) {
  std::uint32_t crc = 0;
  for (const Bucket bucket : backend::kBuckets) {
    crc = base::crc32c(crc, backend::bucket_name(bucket));
    ETCDPP_TRY(database.scan_bucket(bucket, [&](const DatabaseFile::FileRow& row) -> base::Result<> {
      // What differs between members that agree.
      if (bucket == Bucket::kMeta && (row.key == "term" || row.key == "consistent_index" || row.key == "storageVersion"))
        return {};
      crc = base::crc32c(base::crc32c(crc, row.key), row.value);
      return {};
    }));
  }
  return crc;
}

}  // namespace

base::Result<Findings> dump_hash(DatabaseFile& database, Format format, std::int64_t revision, std::ostream& out) {
  ETCDPP_ASSIGN(const RebuiltIndex rebuilt, rebuild_index(database));
  ETCDPP_ASSIGN(const mvcc::KeyValueHash hash,
                hash_key_values(database, rebuilt, revision == 0 ? rebuilt.revision : revision));
  ETCDPP_ASSIGN(const std::uint32_t all, hash_all(database));
  if (format == Format::kJson) {
    out << R"({"hash":)" << hash.hash << R"(,"compact_revision":)" << hash.compact_revision << R"(,"hash_revision":)"
        << hash.revision << R"(,"revision":)" << rebuilt.revision << R"(,"database_hash":)" << all << "}\n";
  } else {
    out << "HashKV            " << hash.hash << " (revision " << hash.revision << ", compact revision "
        << hash.compact_revision << ")\nMaintenance.Hash  " << all << " (revision " << rebuilt.revision << ")\n";
  }
  return rebuilt.findings;
}

}  // namespace etcdpp::mvccdump

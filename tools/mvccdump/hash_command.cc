#include <etcdpp/base/crc32c.h>
#include <etcdpp/mvcc/hash_kv.h>

#include "rebuilt_index.h"

namespace etcdpp::mvccdump {

namespace {

base::Result<mvcc::KeyValueHash> hash_key_values(Context& context, Source& source, const RebuiltIndex& rebuilt, std::int64_t asked) {
  ETCDPP_ASSIGN(const std::int64_t revision, resolve_revision(asked, rebuilt.revision, rebuilt.marks));
  const mvcc::IndexRoot root = rebuilt.index.current();
  constexpr auto kTombstones = mvcc::IndexRoot::Tombstones::kLeaveOut;
  mvcc::RowHash hash(rebuilt.marks.in_force(), revision, !root.keeps_any(revision, kTombstones));
  source.show(context.progress, "hashing");
  ETCDPP_TRY(source.scan(Bucket::kKey, [&](const Row& row) -> base::Result<> {
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

// Of everything: `maintenance` is Maintenance.Hash, which leaves out what differs between members that agree; without it,
// that of `etcdutl snapshot status`.
base::Result<std::uint32_t> hash_all(Source& source, bool maintenance) {
  std::uint32_t crc = 0;
  ETCDPP_ASSIGN(const auto buckets, source.buckets());
  for (const Bucket bucket : buckets) {
    crc = base::crc32c(crc, backend::bucket_name(bucket));
    ETCDPP_TRY(source.scan(bucket, [&](const Row& row) -> base::Result<> {
      namespace meta_key = backend::meta_key;
      if (maintenance && bucket == Bucket::kMeta &&
          (row.key == meta_key::kTerm || row.key == meta_key::kConsistentIndex || row.key == meta_key::kStorageVersion))
        return {};
      crc = base::crc32c(base::crc32c(crc, row.key), row.value);
      return {};
    }));
  }
  return crc;
}

}  // namespace

base::Result<Exit> hash_command(Context& context) {
  ETCDPP_ASSIGN(const auto source, context.open(context.options.path));
  ETCDPP_ASSIGN(const RebuiltIndex rebuilt, rebuild_index(context, *source));
  ETCDPP_ASSIGN(const mvcc::KeyValueHash hash, hash_key_values(context, *source, rebuilt, context.options.revision));
  ETCDPP_ASSIGN(const std::uint32_t maintenance, hash_all(*source, true));
  ETCDPP_ASSIGN(const std::uint32_t status, hash_all(*source, false));
  context.printer.print_list({{"hash", std::uint64_t{hash.hash}},
                              {"compact_revision", hash.compact_revision},
                              {"hash_revision", hash.revision},
                              {"revision", rebuilt.revision},
                              {"database_hash", std::uint64_t{maintenance}},
                              {"snapshot_hash", std::uint64_t{status}}});
  return Exit::kFine;
}

}  // namespace etcdpp::mvccdump

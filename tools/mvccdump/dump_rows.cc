#include <ostream>

#include "dump.h"
#include "row_text.h"

namespace etcdpp::mvccdump {

using backend::Bucket;
using backend::DatabaseFile;

base::Result<Findings> dump_buckets(DatabaseFile& database, Format format, std::optional<Bucket> only, std::ostream& out) {
  Findings findings;
  for (const Bucket bucket : backend::kBuckets) {
    if (only && bucket != *only) continue;
    ETCDPP_TRY(database.scan_bucket(bucket, [&](const DatabaseFile::FileRow& row) -> base::Result<> {
      if (!row.intact) ++findings.bad_checksums;
      if (format == Format::kJson) {
        out << R"({"bucket":")" << backend::bucket_name(bucket) << R"(","key":")" << base::hex(row.key) << R"(","value":")"
            << base::hex(row.value) << (row.intact ? "\"}\n" : "\",\"bad_checksum\":true}\n");
        return {};
      }
      const RowText text = row_text(bucket, row.key, row.value);
      if (!text.decoded) ++findings.undecodable;
      out << backend::bucket_name(bucket) << "  " << text.key << "  " << text.value
          << (text.decoded ? "" : "  UNDECODABLE") << (row.intact ? "\n" : "  BAD CHECKSUM\n");
      return {};
    }));
  }
  return findings;
}

base::Result<Findings> dump_revisions(DatabaseFile& database, Format format, const RevisionFilter& filter,
                                      std::ostream& out) {
  Findings findings;
  ETCDPP_TRY(database.scan_bucket(Bucket::kKey, [&](const DatabaseFile::FileRow& row) -> base::Result<> {
    const auto at = mvcc::decode_row_key(row.key);
    const auto kv = mvcc::decode_key_value(row.value);
    if (!row.intact) ++findings.bad_checksums;
    if (!at || !kv) {
      ++findings.undecodable;
      if (format == Format::kJson) {
        out << R"({"undecodable":true,"row":")" << base::hex(row.key) << R"(","bytes":")" << base::hex(row.value) << "\"}\n";
      } else {
        out << "0x" << base::hex(row.key) << "  UNDECODABLE 0x" << base::hex(row.value) << '\n';
      }
      return {};
    }
    if (at->revision.main < filter.from || at->revision.main > filter.to) return {};
    if (filter.key && kv->key != *filter.key) return {};
    if (format == Format::kText) {
      out << revision_text(at->revision) << "  " << key_value_text(*at, *kv) << (row.intact ? "\n" : "  BAD CHECKSUM\n");
      return {};
    }
    out << R"({"main":)" << at->revision.main << R"(,"sub":)" << at->revision.sub << R"(,"tombstone":)"
        << (at->tombstone ? "true" : "false") << R"(,"key":")" << base::hex(kv->key) << R"(","create_revision":)"
        << kv->create_revision << R"(,"mod_revision":)" << kv->mod_revision << R"(,"version":)" << kv->version
        << R"(,"lease":)" << kv->lease << R"(,"value":")" << base::hex(kv->value)
        << (row.intact ? "\"}\n" : "\",\"bad_checksum\":true}\n");
    return {};
  }));
  return findings;
}

}  // namespace etcdpp::mvccdump

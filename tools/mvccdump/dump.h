#pragma once

#include <cstdint>
#include <iosfwd>
#include <limits>
#include <optional>
#include <string>

#include <etcdpp/backend/database_file.h>
#include <etcdpp/base/bytes.h>
#include <etcdpp/base/env.h>
#include <etcdpp/base/result.h>

namespace etcdpp::mvccdump {

/// Text for people (what a terminal might obey is escaped), or one JSON object a line (bytes in hexadecimal).
enum class Format { kText, kJson };

/// How many rows were wrong: the exit code says so.
struct Findings {
  std::uint64_t bad_checksums = 0;
  std::uint64_t undecodable = 0;
  bool clean() const { return bad_checksums == 0 && undecodable == 0; }
};

/// The database file that a path means: the file itself, or a directory at or above it.
base::Result<std::string> find_database(base::Env& env, const std::string& path);

/// Every row, in order of bucket name and key, or those of one bucket.
base::Result<Findings> dump_buckets(backend::DatabaseFile& database, Format format, std::optional<backend::Bucket> only,
                                    std::ostream& out);

struct RevisionFilter {
  std::int64_t from = 0;
  std::int64_t to = std::numeric_limits<std::int64_t>::max();
  std::optional<base::Bytes> key;
};
/// Every row of bucket `key` decoded.
base::Result<Findings> dump_revisions(backend::DatabaseFile& database, Format format, const RevisionFilter& filter,
                                      std::ostream& out);

/// Every key's index entry with its generations, as a member builds it when it starts. `prefix` empty: all.
base::Result<Findings> dump_keys(backend::DatabaseFile& database, Format format, base::BytesView prefix, std::ostream& out);

/// What the database says of itself, and whether that is true: structure, checksums, counters.
base::Result<Findings> dump_meta(backend::DatabaseFile& database, Format format, std::ostream& out);

/// HashKV at a revision (0: the current one) and Maintenance.Hash.
base::Result<Findings> dump_hash(backend::DatabaseFile& database, Format format, std::int64_t revision, std::ostream& out);

}  // namespace etcdpp::mvccdump

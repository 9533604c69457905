#include <etcdpp/backend/database_file.h>

#include <algorithm>
#include <map>
#include <utility>

#include "database_paths.h"
#include "row_parts.h"

namespace etcdpp::backend {

namespace {

// What stands there in front of the place of a trailer.
base::BytesView without_trailer(base::BytesView stored) {
  return stored.substr(0, stored.size() - std::min(stored.size(), kTrailerSize));
}

}  // namespace

std::string database_path(const std::string& data_dir) { return DatabasePaths(data_dir).database; }

base::Result<std::unique_ptr<DatabaseFile>> DatabaseFile::open(base::Env& env, const std::string& path) {
  ETCDPP_ASSIGN(auto pages, PageReader::open(env, path));
  return std::unique_ptr<DatabaseFile>(new DatabaseFile(std::move(pages)));
}

base::Result<DatabaseFile::Identity> DatabaseFile::identity() {
  Identity identity;
  ETCDPP_TRY(pages_->scan("own", {}, [&](base::BytesView key, base::BytesView stored) -> base::Result<> {
    const auto number = decode_own_row(key, stored);
    if (key == own_key::kFormatVersion) identity.format_version = number;
    if (key == own_key::kClusterId) identity.cluster_id = number;
    if (key == own_key::kMemberId) identity.member_id = number;
    if (key == own_key::kLiveBytes) identity.live_bytes = number;
    return {};
  }));
  return identity;
}

base::Result<> DatabaseFile::scan_rows(base::BytesView first, const Visitor& visit) {
  RowJoin join;
  const auto take = [&](base::BytesView key, base::BytesView stored) -> base::Result<> {
    const bool under_way = join.open();
    auto taken = join.take(key, stored);
    // That row is broken off; what was taken may be whole by itself.
    if (taken == RowJoin::Taken::kWrong && under_way) {
      ETCDPP_TRY(visit({join.key(), join.value(), false}));
      taken = join.take(key, stored);
    }
    if (taken == RowJoin::Taken::kMore) return {};
    return visit({join.key(), join.value(), taken == RowJoin::Taken::kRow});
  };
  ETCDPP_TRY(pages_->scan("key", first, take, [](base::BytesView, base::BytesView stored) { return is_part(stored); }));
  if (join.open()) {
    join.give_up();
    return visit({join.key(), join.value(), false});
  }
  return {};
}

base::Result<> DatabaseFile::scan_bucket(Bucket bucket, const Visitor& visit) {
  if (bucket == Bucket::kKey) return scan_rows({}, visit);
  // Small, and to be put in order: long keys stand elsewhere under their digests.
  struct Kept {
    base::Bytes value;
    bool intact;
  };
  std::map<base::Bytes, Kept> rows;
  constexpr char kLongKeyFlag = '\x80';
  for (const char first : {static_cast<char>(bucket), static_cast<char>(static_cast<char>(bucket) | kLongKeyFlag)}) {
    const base::Error past_the_bucket(std::make_error_code(std::errc::operation_canceled));
    auto scanned = pages_->scan("small", {&first, 1}, [&](base::BytesView key, base::BytesView stored) -> base::Result<> {
      if (key.empty() || key[0] != first) return past_the_bucket;
      if (const auto row = decode_small_row(key, stored)) {
        rows[base::Bytes(row->key)] = {base::Bytes(row->value), true};
      } else {
        rows[base::Bytes(key.substr(1))] = {base::Bytes(without_trailer(stored)), false};
      }
      return {};
    });
    if (!scanned && scanned.error().code != past_the_bucket.code) return scanned;
  }
  for (const auto& [key, row] : rows) ETCDPP_TRY(visit({key, row.value, row.intact}));
  return {};
}

}  // namespace etcdpp::backend

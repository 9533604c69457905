#include <etcdpp/exchange/import.h>

#include <cstdint>

#include <etcdpp/exchange/errc.h>
#include <etcdpp/mvcc/compaction.h>
#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/revision.h>

namespace etcdpp::exchange {

namespace {

using backend::Bucket;

base::Error bad_row(const std::string& path, Bucket bucket, base::BytesView key, const std::string& why) {
  return base::Error(Errc::kBadRow, path + ": bucket " + std::string(backend::bucket_name(bucket)) + ", row " + base::hex(key) + ": " + why);
}

/// What the store asks of its rows when it is restored.
class KeyRowCheck {
 public:
  explicit KeyRowCheck(const std::string& path) : path_(path) {}

  base::Result<> check(base::BytesView key, base::BytesView value) {
    const auto row = mvcc::decode_row_key(key);
    if (!row) return bad_row(path_, Bucket::kKey, key, row.error().message());
    if (!(last_ < row->revision)) return bad_row(path_, Bucket::kKey, key, "its revision is not above the one before it");
    if (row->revision.sub > UINT32_MAX) return bad_row(path_, Bucket::kKey, key, "a transaction of more than 2^32 changes");
    last_ = row->revision;
    if (value.size() > INT32_MAX) return bad_row(path_, Bucket::kKey, key, "longer than 2 GiB");
    const auto kv = mvcc::decode_key_value(value);
    if (!kv) return bad_row(path_, Bucket::kKey, key, kv.error().message());
    return {};
  }

 private:
  const std::string& path_;
  mvcc::Revision last_{0, -1};
};

base::Result<std::uint64_t> number(const std::string& path, base::BytesView key, base::BytesView value) {
  if (value.size() != 8) return bad_row(path, Bucket::kMeta, key, "has not 8 bytes");
  return base::get_be64(value.data());
}

}  // namespace

base::Result<std::unique_ptr<Import>> Import::open(base::Env& env, const std::string& path) {
  ETCDPP_ASSIGN(auto reader, bolt::Reader::open(env, path));
  std::unique_ptr<Import> out(new Import(std::move(reader)));
  ETCDPP_TRY(out->read_facts());
  return out;
}

base::Result<> Import::read_facts() {
  const auto scan = [&](Bucket bucket, const bolt::Reader::Visitor& visit) { return reader_->scan(backend::bucket_name(bucket), {}, visit); };
  ETCDPP_TRY(scan(Bucket::kMeta, [&](base::BytesView key, base::BytesView value) -> base::Result<> {
    if (key == backend::meta_key::kConsistentIndex) {
      ETCDPP_ASSIGN(facts_.consistent_index, number(reader_->path(), key, value));
    } else if (key == backend::meta_key::kTerm) {
      ETCDPP_ASSIGN(facts_.term, number(reader_->path(), key, value));
    } else if (key == backend::meta_key::kStorageVersion) {
      facts_.storage_version = value;
    } else if (key == mvcc::kScheduledCompactRevKey || key == mvcc::kFinishedCompactRevKey) {
      if (!mvcc::decode_row_key(value)) return bad_row(reader_->path(), Bucket::kMeta, key, "is no revision");
    }
    return {};
  }));
  ETCDPP_TRY(scan(Bucket::kCluster, [&](base::BytesView key, base::BytesView value) -> base::Result<> {
    if (key == "clusterVersion") facts_.cluster_version = value;
    // etcd's own compact JSON: {"target-version":"3.6.0","enabled":true}
    if (key == "downgrade") facts_.downgrading = value.find("\"enabled\":true") != base::BytesView::npos;
    return {};
  }));
  ETCDPP_TRY(scan(Bucket::kAuth, [&](base::BytesView key, base::BytesView value) -> base::Result<> {
    if (key == "authEnabled") facts_.auth_enabled = value == base::BytesView("\x01", 1);
    return {};
  }));
  ETCDPP_TRY(scan(Bucket::kMembers, [&](base::BytesView key, base::BytesView) -> base::Result<> {
    facts_.members.emplace_back(key);
    return {};
  }));
  ETCDPP_ASSIGN(const auto buckets, reader_->buckets());
  for (const bolt::Bucket& bucket : buckets)
    if (!backend::bucket_named(bucket.name)) facts_.foreign_buckets.push_back(bucket.name);
  return {};
}

base::Result<> Import::copy_to(backend::FreshDatabase& fresh, const Progress& progress) {
  constexpr std::uint64_t kTellEach = 1u << 20;
  const std::uint64_t total = reader_->meta().pages * reader_->meta().page_size;
  std::uint64_t read = 0, told = 0;
  KeyRowCheck keys(reader_->path());
  for (const Bucket bucket : backend::kBuckets) {
    const auto copy = [&](base::BytesView key, base::BytesView value) -> base::Result<> {
      if (bucket == Bucket::kKey) ETCDPP_TRY(keys.check(key, value));
      ++rows_;
      read += key.size() + value.size();
      if (progress && read - told >= kTellEach) progress(told = read, total);
      return fresh.add(bucket, key, value);
    };
    ETCDPP_TRY(reader_->scan(backend::bucket_name(bucket), {}, copy));
  }
  ETCDPP_ASSIGN(const bool in_place, reader_->in_place());
  if (!in_place) return base::Error(Errc::kInUse, reader_->path());
  return {};
}

}  // namespace etcdpp::exchange

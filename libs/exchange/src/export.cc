#include <etcdpp/exchange/export.h>

#include <utility>

namespace etcdpp::exchange {

base::Result<> write_buckets(const BucketScan& scan, bolt::Writer& writer) {
  for (const backend::Bucket bucket : backend::kBuckets) {
    ETCDPP_TRY(writer.begin_bucket(backend::bucket_name(bucket)));
    ETCDPP_TRY(scan(bucket, [&](base::BytesView key, base::BytesView value) { return writer.add(key, value); }));
  }
  return {};
}

base::Result<std::unique_ptr<Export>> Export::begin(std::shared_ptr<const backend::Database> database) {
  ETCDPP_ASSIGN(auto transaction, database->begin_read());
  std::unique_ptr<Export> out(new Export(std::move(database), std::move(transaction)));
  ETCDPP_ASSIGN(out->consistent_index_, out->transaction_.consistent_index());
  ETCDPP_ASSIGN(const auto version, out->transaction_.get(backend::Bucket::kMeta, backend::meta_key::kStorageVersion));
  if (version) out->storage_version_ = *version;
  return out;
}

base::Result<> Export::feed(bolt::Writer& writer, backend::RowCursor::Check check, const Pace& pace) const {
  std::size_t read = 0;
  const auto scan = [&](backend::Bucket bucket, const backend::RowVisitor& visit) -> base::Result<> {
    const auto paced = [&](base::BytesView key, base::BytesView value) -> base::Result<> {
      read += key.size() + value.size();
      if (read >= kPaceBytes) ETCDPP_TRY(pace(std::exchange(read, 0)));
      return visit(key, value);
    };
    if (bucket != backend::Bucket::kKey) return transaction_.scan_bucket(bucket, paced);
    backend::RowCursor cursor(transaction_, check);
    auto there = cursor.seek({});
    for (; there && *there; there = cursor.next()) ETCDPP_TRY(paced(cursor.key(), cursor.value()));
    ETCDPP_TRY(there);
    return {};
  };
  return write_buckets(scan, writer);
}

base::Result<std::uint64_t> Export::measure(const Pace& pace) {
  bolt::Writer sizing = bolt::Writer::sizing();
  // Nothing but sizes: what is wrong with a row shows when it is written.
  ETCDPP_TRY(feed(sizing, backend::RowCursor::Check::kPlaces, pace));
  ETCDPP_ASSIGN(plan_, sizing.finish());
  return plan_.bytes();
}

base::Result<bolt::Sha256::Digest> Export::write(const bolt::Writer::Sink& sink, const Pace& pace) {
  bolt::Sha256 sha;
  bolt::Writer writer = bolt::Writer::streaming(plan_, [&](base::BytesView bytes) {
    sha.add(bytes);
    return sink(bytes);
  });
  ETCDPP_TRY(feed(writer, backend::RowCursor::Check::kRows, pace));
  ETCDPP_TRY(writer.finish());
  return sha.digest();
}

}  // namespace etcdpp::exchange

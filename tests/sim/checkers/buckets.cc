#include "checkers.h"

namespace etcdpp::sim {

void check_buckets(server::Member& member, const Report& report) {
  if (member.backend().opened().consistent_index == 0) return;
  const auto transaction = member.backend().database()->begin_read();
  if (!transaction) return report("buckets: " + transaction.error().message());
  const auto has = [&](backend::Bucket bucket, std::string_view key) {
    const auto value = transaction->get(bucket, key);
    if (!value) report("buckets: " + value.error().message());
    else if (!*value) report("buckets: " + std::string(backend::bucket_name(bucket)) + "/" + std::string(key) + " is missing");
  };
  has(backend::Bucket::kAuth, "authRevision");
  has(backend::Bucket::kMeta, "confState");
  has(backend::Bucket::kMeta, "consistent_index");
  has(backend::Bucket::kMeta, "term");
}

}  // namespace etcdpp::sim

// A bbolt file from anywhere: reading, verifying and salvaging end with an answer, and what verify calls whole is read to its
// end and survives being written anew.

#include <cstdlib>
#include <map>

#include <etcdpp/bolt/reader.h>
#include <etcdpp/bolt/salvage.h>
#include <etcdpp/bolt/trailer.h>
#include <etcdpp/bolt/verify.h>

#include "bolt_mutator.h"
#include "memory_env.h"

using namespace etcdpp;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

using Rows = std::map<std::string, std::map<std::string, std::string>>;

base::Result<Rows> read_all(base::Env& env, const std::string& path) {
  ETCDPP_ASSIGN(const auto reader, bolt::Reader::open(env, path));
  ETCDPP_ASSIGN(const auto buckets, reader->buckets());
  Rows rows;
  std::size_t count = 0;
  for (const auto& bucket : buckets) {
    auto& content = rows[bucket.name];
    std::string last;
    ETCDPP_TRY(reader->scan(bucket.name, {}, [&](base::BytesView key, base::BytesView value) -> base::Result<> {
      require(content.empty() || key > last);
      require(++count < 1'000'000);
      last = key;
      content.emplace(key, value);
      return {};
    }));
  }
  return rows;
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
  return fuzz::mutate_bolt(data, size, max_size, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::MemoryEnv env;
  env.put("db", {reinterpret_cast<const char*>(data), size});
  const auto rows = read_all(env, "db");
  static_cast<void>(bolt::check_trailer(env, "db"));
  std::uint64_t saved = 0;
  const auto salvaged = bolt::salvage(env, "db", [&](const bolt::SalvagedRow& row) -> base::Result<> {
    saved += row.in_tree;
    require(row.key.size() + row.value.size() <= 2 * size);
    return {};
  });
  require(salvaged.has_value());
  const auto reader = bolt::Reader::open(env, "db");
  if (!reader) return 0;
  const auto verdict = bolt::verify(**reader);
  require(verdict.has_value());
  if (!verdict->whole()) return 0;
  require(rows.has_value());
  require(saved == verdict->rows && salvaged->lost_count == 0);
  std::string again;
  bolt::Writer writer = bolt::Writer::without_metas(512, [&](base::BytesView bytes) -> base::Result<> {
    again += bytes;
    return {};
  });
  for (const auto& [bucket, content] : *rows) {
    if (!writer.begin_bucket(bucket)) return 0;  // an empty name
    for (const auto& [key, value] : content) require(writer.add(key, value).has_value());
  }
  const auto plan = writer.finish();
  require(plan.has_value());
  again.replace(0, 1024, bolt::meta_pages(*plan));
  env.put("again", again);
  const auto once_more = read_all(env, "again");
  require(once_more.has_value() && *once_more == *rows);
  return 0;
}

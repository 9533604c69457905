// The store without a server around it: what one put, get, count, page, restore and compaction cost at a number of
// keys.
//
//   mvcc_bench --benchmark_filter=put      (times are per operation; "anon_MB" is anonymous memory of the process)

#include <benchmark/benchmark.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <etcdpp/base/random.h>
#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/store.h>

#include "support/database_options.h"

namespace etcdpp::mvcc {
namespace {

constexpr std::size_t kValueBytes = 256;

void must(bool fine, const std::string& what) {
  if (fine) return;
  std::fprintf(stderr, "mvcc_bench: %s\n", what.c_str());
  std::abort();
}

double anonymous_megabytes() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line))
    if (line.starts_with("RssAnon:")) return std::stod(line.substr(8)) / 1024;
  return 0;
}

/// 16 bytes; neighbours in number are far apart in order.
std::string key_of(std::uint64_t n) {
  char key[17];
  std::snprintf(key, sizeof key, "%016llx", static_cast<unsigned long long>(n * 0x9e3779b97f4a7c15ULL));
  return {key, 16};
}

struct Bench {
  std::string directory;
  base::SystemClock clock;
  std::unique_ptr<backend::Backend> backend;
  std::unique_ptr<Store> store;
  std::uint64_t index = 0;
  std::uint64_t keys = 0;

  Bench() {
    std::string pattern = (std::filesystem::temp_directory_path() / "etcdpp-bench-XXXXXX").string();
    must(::mkdtemp(pattern.data()) != nullptr, "no temporary directory");
    directory = pattern;
    open();
  }
  ~Bench() {
    close();
    std::filesystem::remove_all(directory);
  }
  void open() {
    Restoration rows;
    auto opened = backend::Backend::open(test::database_options(directory, clock),
                                         [&](base::BytesView key, base::BytesView value) { return rows.add(key, value); });
    must(opened.has_value(), opened ? "" : opened.error().message());
    backend = std::move(*opened);
    store = std::make_unique<Store>(*backend, nullptr, nullptr);
    index = backend->opened().consistent_index;
    rows.end();
    auto restored = store->restore(index, std::move(rows));
    must(restored.has_value(), restored ? "" : restored.error().message());
    backend->commit_loop().set_deletion_source(&store->compaction());
  }
  void close() {
    store.reset();
    backend.reset();
  }
  void put(base::BytesView key, base::BytesView value) {
    WriteTxn txn(*store);
    txn.put(key, value, 0);
    txn.end();
    backend->buffer().set_applied(++index, 1);
  }
  void commit() {
    backend->freeze();
    for (;;) {
      auto worked = backend->commit_loop().step();
      must(worked.has_value(), worked ? "" : worked.error().message());
      if (!*worked) break;
    }
    store->publish(index);
  }
  void fill(std::uint64_t to) {
    const std::string value(kValueBytes, 'v');
    for (; keys < to; ++keys) {
      put(key_of(keys), value);
      if (keys % 10'000 == 9'999) commit();
    }
    commit();
  }
};

/// One store for all benchmarks of a size: filling it is what takes time.
Bench& bench_with(std::uint64_t keys) {
  static std::unique_ptr<Bench> bench;
  if (!bench || bench->keys != keys) {
    bench.reset();
    bench = std::make_unique<Bench>();
    bench->fill(keys);
  }
  return *bench;
}

void put_apply(benchmark::State& state) {
  Bench& bench = bench_with(static_cast<std::uint64_t>(state.range(0)));
  const auto batch = static_cast<std::uint64_t>(state.range(1));
  const std::string value(kValueBytes, 'w');
  base::Random random(1);
  std::vector<std::string> keys;
  std::uint64_t since = 0;
  for (auto _ : state) {
    state.PauseTiming();
    keys.clear();
    for (std::uint64_t i = 0; i < 1'000; ++i) keys.push_back(key_of(random.below(bench.keys)));
    if (since >= 10'000) {
      bench.commit();
      since = 0;
    }
    state.ResumeTiming();
    for (std::uint64_t i = 0; i < keys.size(); ++i) {
      bench.put(keys[i], value);
      if (i % batch == batch - 1) bench.store->publish(bench.index);
    }
    since += keys.size();
  }
  state.SetItemsProcessed(state.iterations() * 1'000);
  bench.commit();
}
BENCHMARK(put_apply)
    ->Args({300'000, 50})
    ->Args({1'000'000, 50})
    ->Args({1'000'000, 1})
    ->Iterations(100)
    ->Unit(benchmark::kMillisecond);

void get_one(benchmark::State& state) {
  Bench& bench = bench_with(static_cast<std::uint64_t>(state.range(0)));
  base::Random random(2);
  std::vector<std::string> keys;
  for (int i = 0; i < 100'000; ++i) keys.push_back(key_of(random.below(bench.keys)));
  std::vector<RangeRow> rows;
  std::size_t at = 0;
  for (auto _ : state) {
    auto reader = RangeReader::open(bench.store->views());
    must(reader.has_value(), "reader");
    rows.clear();
    auto answer = reader->range(KeyRange::single(keys[at++ % keys.size()]), {}, rows);
    must(answer.has_value() && rows.size() == 1, "a key is missing");
    benchmark::DoNotOptimize(rows.data());
  }
}
BENCHMARK(get_one)->Arg(10'000)->Arg(300'000)->Arg(1'000'000);

void index_get(benchmark::State& state) {
  Bench& bench = bench_with(static_cast<std::uint64_t>(state.range(0)));
  base::Random random(2);
  std::vector<std::string> keys;
  for (int i = 0; i < 100'000; ++i) keys.push_back(key_of(random.below(bench.keys)));
  const auto view = bench.store->views().current();
  std::size_t at = 0;
  for (auto _ : state) benchmark::DoNotOptimize(view->index.get(keys[at++ % keys.size()], view->revision));
}
BENCHMARK(index_get)->Arg(1'000'000);

/// At a revision that is `range(1)` updates old.
void count_range(benchmark::State& state) {
  Bench& bench = bench_with(static_cast<std::uint64_t>(state.range(0)));
  base::Random random(3);
  for (std::int64_t i = 1; i <= state.range(1); ++i) {
    bench.put(key_of(random.below(bench.keys)), "updated");
    if (i % 10'000 == 0) bench.commit();
  }
  bench.commit();
  const auto view = bench.store->views().current();
  const std::int64_t at = view->revision - state.range(1);
  for (auto _ : state) benchmark::DoNotOptimize(view->index.count(KeyRange::interval("1", "e"), at));
}
BENCHMARK(count_range)->Args({300'000, 0})->Args({1'000'000, 0})->Args({1'000'000, 100'000});

void size_range(benchmark::State& state) {
  Bench& bench = bench_with(static_cast<std::uint64_t>(state.range(0)));
  const auto view = bench.store->views().current();
  for (auto _ : state) benchmark::DoNotOptimize(view->index.size(KeyRange::interval("1", "e"), view->revision));
}
BENCHMARK(size_range)->Arg(1'000'000);

void page_of_500(benchmark::State& state) {
  Bench& bench = bench_with(static_cast<std::uint64_t>(state.range(0)));
  std::vector<RangeRow> rows;
  for (auto _ : state) {
    auto reader = RangeReader::open(bench.store->views());
    must(reader.has_value(), "reader");
    rows.clear();
    auto answer = reader->range(KeyRange::from("5"), {.limit = 500}, rows);
    must(answer.has_value() && rows.size() == 500, "a short page");
  }
}
BENCHMARK(page_of_500)->Arg(300'000)->Arg(1'000'000)->Unit(benchmark::kMicrosecond);

void publish(benchmark::State& state) {
  Bench& bench = bench_with(static_cast<std::uint64_t>(state.range(0)));
  for (auto _ : state) bench.store->publish(bench.index);
}
BENCHMARK(publish)->Arg(1'000'000);

void hash_kv(benchmark::State& state) {
  Bench& bench = bench_with(static_cast<std::uint64_t>(state.range(0)));
  for (auto _ : state) {
    HashKv hash(bench.store->views(), bench.store->hashes(), 0);
    must(hash.run().has_value(), "hash");
  }
}
BENCHMARK(hash_kv)->Arg(1'000'000)->Unit(benchmark::kMillisecond)->Iterations(1);

/// Opening a database and building the index from it; the program's anonymous memory with it open.
void restore(benchmark::State& state) {
  static std::unique_ptr<Bench> fresh;
  if (!fresh || fresh->keys != static_cast<std::uint64_t>(state.range(0))) {
    fresh.reset();
    fresh = std::make_unique<Bench>();
    fresh->fill(static_cast<std::uint64_t>(state.range(0)));
  }
  for (auto _ : state) {
    state.PauseTiming();
    fresh->close();
    state.ResumeTiming();
    fresh->open();
  }
  state.counters["anon_MB"] = anonymous_megabytes();
  state.counters["index_MB"] = static_cast<double>(fresh->store->index_memory_bytes()) / (1 << 20);
}
BENCHMARK(restore)->Arg(1'000'000)->Unit(benchmark::kMillisecond)->Iterations(5);

/// A compaction of every superseded row of a store in which each key was written twice.
void compact(benchmark::State& state) {
  const auto keys = static_cast<std::uint64_t>(state.range(0));
  double index_ms = 0;
  for (auto _ : state) {
    state.PauseTiming();
    Bench bench;
    bench.fill(keys);
    bench.keys = 0;
    bench.fill(keys);
    must(bench.store->compact(bench.store->revision(), bench.index + 1).has_value(), "compact");
    bench.backend->buffer().set_applied(++bench.index, 1);
    bench.commit();
    state.ResumeTiming();
    const auto begin = bench.clock.now();
    while (bench.store->step_compaction()) bench.store->publish(bench.index);
    index_ms = std::chrono::duration<double, std::milli>(bench.clock.now() - begin).count();
    while (!bench.store->compaction().idle()) must(bench.backend->commit_loop().step().has_value(), "commit");
    state.PauseTiming();
    bench.close();
    state.ResumeTiming();
  }
  state.counters["index_pass_ms"] = index_ms;
}
BENCHMARK(compact)->Arg(100'000)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace etcdpp::mvcc

BENCHMARK_MAIN();

// The log by itself: encoding with checksums, recovery of a full segment, what waldump reads. A round each of several; CPU time.

#include <benchmark/benchmark.h>

#include <filesystem>
#include <string>
#include <vector>

#include <etcdpp/base/random.h>
#include <etcdpp/wal/wal.h>

using namespace etcdpp;

namespace {

class Folder {
 public:
  Folder() : path_(std::filesystem::temp_directory_path() / ("etcdpp-wal-bench-" + base::hex(base::random_seed()))) {}
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::vector<raft::Entry> batch_of(std::size_t count, std::size_t size, raft::Index first) {
  std::vector<raft::Entry> batch;
  for (std::size_t i = 0; i < count; ++i) batch.push_back({raft::EntryType::kNormal, 2, first + i, base::SharedBytes(std::string(size, 'x'))});
  return batch;
}

// A file that takes everything and keeps nothing: what remains is the log's own work.
class Nowhere final : public base::File {
 public:
  const std::string& path() const override { return name_; }
  base::Result<std::uint64_t> size() const override { return std::uint64_t{0}; }
  base::Result<std::size_t> read_at(std::uint64_t, char*, std::size_t) override { return std::size_t{0}; }
  base::Result<> write_at(std::uint64_t, std::string_view) override { return {}; }
  base::Result<> sync_data() override { return {}; }
  base::Result<> sync_all() override { return {}; }
  base::Result<> truncate(std::uint64_t) override { return {}; }
  base::Result<> allocate(std::uint64_t) override { return {}; }
  base::Result<> lock(bool) override { return {}; }
  base::Result<> drop_cache() override { return {}; }

 private:
  std::string name_;
};

class NowhereEnv final : public base::Env {
 public:
  base::Result<std::unique_ptr<base::File>> open(const std::string&, base::OpenMode, unsigned) override {
    return std::unique_ptr<base::File>(std::make_unique<Nowhere>());
  }
  bool exists(const std::string&) override { return false; }
  base::Result<std::vector<std::string>> list(const std::string&) override { return std::vector<std::string>{}; }
  base::Result<> make_directories(const std::string&, unsigned) override { return {}; }
  base::Result<> remove(const std::string&) override { return {}; }
  base::Result<> remove_tree(const std::string&) override { return {}; }
  base::Result<> rename(const std::string&, const std::string&) override { return {}; }
  base::Result<> sync_directory(const std::string&) override { return {}; }
};

void encode(benchmark::State& state) {
  NowhereEnv env;
  wal::Options options;
  options.segment_size = std::uint64_t{1} << 60;
  auto log = wal::Wal::create(env, "nowhere", {1, 2}, options).value();
  const auto batch = batch_of(60, static_cast<std::size_t>(state.range(0)), 1);
  for (auto _ : state) {
    if (!log->append({}, batch) || !log->sync()) state.SkipWithError("append");
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * 60 * state.range(0));
}
BENCHMARK(encode)->Arg(300)->Arg(4096);

// One segment of 64 MB, all of it behind the marker: what a start reads at most of one.
void recover_segment(benchmark::State& state) {
  const Folder folder;
  wal::Options options;
  options.unsafe_no_fsync = true;
  {
    auto log = wal::Wal::create(base::posix_env(), folder.path(), {1, 2}, options).value();
    raft::Index next = 1;
    while (log->tail_offset() < wal::kSegmentSize - 100'000) {
      const auto batch = batch_of(100, 300, next);
      next += batch.size();
      if (!log->save({2, 1, next - 1}, batch)) state.SkipWithError("save");
    }
    if (!log->close()) state.SkipWithError("close");
  }
  for (auto _ : state) {
    auto opened = wal::Wal::open(base::posix_env(), folder.path(), {}, {}, options);
    if (!opened) state.SkipWithError(opened.error().message().c_str());
    else state.counters["entries"] = static_cast<double>(opened->read.entries.size());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * static_cast<std::int64_t>(wal::kSegmentSize));
}
BENCHMARK(recover_segment)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();

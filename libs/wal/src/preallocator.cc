#include <etcdpp/wal/preallocator.h>

#include <algorithm>
#include <vector>

namespace etcdpp::wal {

namespace {

// Each piece is synced by itself, so that the log's own syncs beside it do not wait for all of it.
constexpr std::size_t kZeroPiece = 1 << 20;

constexpr std::size_t kProbeWrite = 4096;
constexpr std::size_t kProbeRounds = 16;
constexpr base::Duration kProbeTime = std::chrono::milliseconds(200);

base::Result<> fill_with_zeros(base::File& file, std::uint64_t size) {
  const std::string zeros(kZeroPiece, '\0');
  for (std::uint64_t at = 0; at < size; at += kZeroPiece) {
    ETCDPP_TRY(file.write_at(at, std::string_view(zeros).substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(kZeroPiece, size - at)))));
    ETCDPP_TRY(file.sync_data());
  }
  return {};
}

}  // namespace

Preallocator::Preallocator(base::Env& env, std::string directory, std::uint64_t segment_size)
    : env_(env), directory_(std::move(directory)), segment_size_(segment_size) {}

Preallocator::~Preallocator() {
  // Only tidiness: a file left behind is truncated by whoever makes the next one.
  if (ready_) static_cast<void>(env_.remove(ready_->path));
}

bool Preallocator::probe(const base::Clock& clock) {
  const auto quicker = zeros_are_quicker(clock);
  // A disk that cannot even be probed will be heard of soon enough.
  write_zeros_ = quicker && *quicker;
  return write_zeros_;
}

base::Result<bool> Preallocator::zeros_are_quicker(const base::Clock& clock) {
  const std::string paths[] = {directory_ + "/probe-allocated.tmp", directory_ + "/probe-zeros.tmp"};
  std::unique_ptr<base::File> files[2];
  std::vector<base::Duration> times[2];
  const auto measure = [&]() -> base::Result<> {
    for (int i = 0; i < 2; ++i) {
      ETCDPP_ASSIGN(files[i], env_.open(paths[i], base::OpenMode::kCreateTruncate, 0600));
      if (i == 0) ETCDPP_TRY(files[i]->allocate(kProbeRounds * kProbeWrite));
      else ETCDPP_TRY(fill_with_zeros(*files[i], kProbeRounds * kProbeWrite));
      ETCDPP_TRY(files[i]->sync_all());
    }
    const std::string bytes(kProbeWrite, 'p');
    const base::Instant begin = clock.now();
    // In turn, so that what else the disk does meanwhile counts for both.
    for (std::size_t round = 0; round < kProbeRounds && clock.now() - begin < kProbeTime; ++round) {
      for (int i = 0; i < 2; ++i) {
        const base::Instant before = clock.now();
        ETCDPP_TRY(files[i]->write_at(round * kProbeWrite, bytes));
        ETCDPP_TRY(files[i]->sync_data());
        times[i].push_back(clock.now() - before);
      }
    }
    return {};
  };
  const auto measured = measure();
  for (int i = 0; i < 2; ++i) {
    if (files[i]) static_cast<void>(env_.remove(paths[i]));
  }
  ETCDPP_TRY(measured);
  for (auto& each : times) std::sort(each.begin(), each.end());
  const base::Duration allocated = times[0][times[0].size() / 2];
  const base::Duration zeros = times[1][times[1].size() / 2];
  // Writing them costs something too: only for a clear difference.
  return zeros * 5 < allocated * 4;
}

bool Preallocator::step() {
  std::unique_lock lock(mutex_);
  if (ready_ || making_ || failed_) return false;
  making_ = true;
  lock.unlock();
  auto made = make();
  lock.lock();
  making_ = false;
  if (made) ready_ = std::move(*made);
  else failed_ = true;
  changed_.notify_all();
  return true;
}

bool Preallocator::wait(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  return changed_.wait(lock, stop, [this] { return !ready_ && !making_ && !failed_; });
}

base::Result<Preallocator::Prepared> Preallocator::take() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !making_; });
  if (ready_) {
    Prepared prepared = std::move(*ready_);
    ready_.reset();
    changed_.notify_all();
    return prepared;
  }
  making_ = true;
  failed_ = false;
  lock.unlock();
  auto made = make();
  lock.lock();
  making_ = false;
  changed_.notify_all();
  return made;
}

base::Result<Preallocator::Prepared> Preallocator::make() {
  const std::string path = directory_ + "/" + std::to_string(count_ % 2) + ".tmp";
  auto prepared = make_at(path);
  if (prepared) ++count_;
  // The next try gets a new file: a sync that failed on this one is not repeated on it.
  else static_cast<void>(env_.remove(path));
  return prepared;
}

base::Result<Preallocator::Prepared> Preallocator::make_at(const std::string& path) {
  Prepared prepared{path, nullptr};
  // Truncated: what a crash left in a file of this name must not shine through the new segment's zeros.
  ETCDPP_ASSIGN(prepared.file, env_.open(path, base::OpenMode::kCreateTruncate, 0600));
  ETCDPP_TRY(prepared.file->lock(false));
  ETCDPP_TRY(prepared.file->allocate(segment_size_));
  if (write_zeros_) ETCDPP_TRY(fill_with_zeros(*prepared.file, segment_size_));
  // Here, so that the first sync of the segment does not pay for the allocation.
  ETCDPP_TRY(prepared.file->sync_all());
  return prepared;
}

}  // namespace etcdpp::wal

#include <etcdpp/wal/preallocator.h>

namespace etcdpp::wal {

Preallocator::Preallocator(base::Env& env, std::string directory, std::uint64_t segment_size)
    : env_(env), directory_(std::move(directory)), segment_size_(segment_size) {}

Preallocator::~Preallocator() {
  // Only tidiness: a file left behind is truncated by whoever makes the next one.
  if (ready_) static_cast<void>(env_.remove(ready_->path));
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
  // Here, so that the first sync of the segment does not pay for the allocation.
  ETCDPP_TRY(prepared.file->sync_all());
  return prepared;
}

}  // namespace etcdpp::wal

#include "threads.h"

#include <pthread.h>

namespace etcdpp::server {

namespace {

/// An fdatasync below this is run by whoever brought the work: above it, waking another thread costs less than waiting.
constexpr base::Duration kQuickSync = std::chrono::microseconds(300);
/// Steps of the core before an I/O thread looks at its sockets again.
constexpr int kRoundsPerTurn = 16;
constexpr base::Duration kPurgeInterval = std::chrono::seconds(30);

void name_thread(const char* name) { pthread_setname_np(pthread_self(), name); }

}  // namespace

Threads::Threads(Member& member, net::IoThreads& io, WatchService& watch, ReaderPool& readers)
    : member_(member), io_(io), watch_(watch), readers_(readers), baton_([this] { return step_all(); }), not_reading_(io.size()) {}

Threads::~Threads() { stop(); }

bool Threads::log_is_quick() const { return member_.wal_loop().recent_sync() < kQuickSync; }

bool Threads::step_wal() {
  if (member_.wal_loop().idle() || member_.failure().failed()) return false;
  if (wal_stepping_.test_and_set(std::memory_order_acquire)) return false;
  const auto stepped = member_.wal_loop().step();
  wal_stepping_.clear(std::memory_order_release);
  if (!stepped) {
    member_.failure().report("write-ahead log failed", stepped.error());
    return false;
  }
  return *stepped;
}

bool Threads::step_all() {
  bool did = member_.step_core();
  if (member_.wal_loop().idle()) return did;
  if (log_is_quick()) return step_wal() || did;
  {
    std::lock_guard lock(mutex_);
    wal_wanted_ = true;
  }
  changed_.notify_all();
  return did;
}

void Threads::run_core() {
  if (stopping_.load(std::memory_order_relaxed)) return;
  if (baton_.run(kRoundsPerTurn)) wake_core();
}

void Threads::heed_inbox(net::IoThread& io) {
  const bool crowded = member_.raft_loop().inbox_crowded();
  if (bool& not_reading = not_reading_[io.index()]; crowded != not_reading) {
    not_reading = crowded;
    if (crowded) io.pause_reading();
    else io.resume_reading();
  }
  if (crowded) {
    somebody_waits_for_room_.store(true, std::memory_order_release);
  } else if (somebody_waits_for_room_.load(std::memory_order_acquire) && somebody_waits_for_room_.exchange(false)) {
    // Whoever stored it too late to be seen here is woken by the next tick's turn.
    for (unsigned i = 0; i < io_.size(); ++i) io_[i].post([] {});
  }
}

void Threads::wake_core() {
  if (core_posted_.exchange(true, std::memory_order_acq_rel)) return;
  // The turn that runs this task ends with the hook that runs the core.
  io_[0].post([this] { core_posted_.store(false, std::memory_order_release); });
}

void Threads::start() {
  threads_.emplace_back([this] { wal_loop(); });
  threads_.emplace_back([this] {
    name_thread("wal-prealloc");
    member_.preallocator().probe(member_.clock());
    while (member_.preallocator().wait(prealloc_stop_.get_token())) member_.preallocator().step();
  });
  threads_.emplace_back([this] {
    name_thread("commit");
    const auto ended = member_.commit_loop().run();
    if (!ended) member_.failure().report("database commit failed", ended.error());
  });
  threads_.emplace_back([this] {
    name_thread("watch");
    while (!watch_.history_loop().stopped())
      if (!watch_.history_loop().step()) watch_.history_loop().wait();
  });
  threads_.emplace_back([this] {
    name_thread("reader");
    while (!readers_.stopped())
      if (!readers_.step()) readers_.wait();
  });
  for (unsigned i = 0; i < io_.size(); ++i) io_[i].on_batch_end([this, i] {
      run_core();
      heed_inbox(io_[i]);
    });
  io_.start();
  threads_.emplace_back([this] { timer_loop(); });
}

void Threads::timer_loop() {
  name_thread("timer");
  const base::Duration interval = member_.config().heartbeat_interval;
  base::Instant next = member_.clock().now() + interval;
  base::Instant next_purge = member_.clock().now() + kPurgeInterval;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    changed_.wait_until(lock, next, [this] { return stopping_.load(); });
    const base::Instant now = member_.clock().now();
    if (stopping_ || now < next) continue;
    // A member that was stopped for a while must not campaign for all the ticks it slept through.
    next = std::max(next + interval, now);
    lock.unlock();
    member_.tick();
    watch_.tick();
    wake_core();
    if (now >= next_purge) {
      next_purge = now + kPurgeInterval;
      static_cast<void>(readers_.run([this] { member_.purge(); }));
    }
    lock.lock();
  }
}

void Threads::wal_loop() {
  name_thread("wal");
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return wal_wanted_ || stopping_; });
    if (stopping_) return;
    wal_wanted_ = false;
    lock.unlock();
    while (step_wal()) baton_.run(kRoundsPerTurn);
    lock.lock();
  }
}

void Threads::stop() {
  if (stopping_.exchange(true)) return;
  member_.stop();
  {
    std::lock_guard lock(mutex_);
  }
  changed_.notify_all();
  prealloc_stop_.request_stop();
  watch_.history_loop().stop();
  readers_.stop();
  io_.stop();
  member_.commit_loop().stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  readers_.drop();
  member_.close();
  // Answers of what close() applied, and of those whom member_.stop() told so.
  io_.run_remaining();
}

}  // namespace etcdpp::server

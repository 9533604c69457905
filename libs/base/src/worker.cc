#include <etcdpp/base/worker.h>

#include <pthread.h>

#include <utility>

namespace etcdpp::base {

Worker::Worker(std::string name) : name_(std::move(name)), thread_([this] { run(); }) {}

Worker::~Worker() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !busy_; });
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Worker::start(std::move_only_function<void()> work) {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !busy_; });
    work_ = std::move(work);
    busy_ = true;
  }
  changed_.notify_all();
}

void Worker::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !busy_; });
}

void Worker::run() {
  pthread_setname_np(pthread_self(), name_.c_str());
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return work_ || stopping_; });
    if (!work_) return;
    auto work = std::exchange(work_, {});
    lock.unlock();
    work();
    work = {};
    lock.lock();
    busy_ = false;
    changed_.notify_all();
  }
}

}  // namespace etcdpp::base

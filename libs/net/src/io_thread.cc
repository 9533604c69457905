#include <etcdpp/net/io_thread.h>

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <utility>

#include <etcdpp/base/assert.h>

namespace etcdpp::net {

/// What other threads may touch: the tasks and whether somebody must ring.
struct IoThread::Inbox {
  std::mutex mutex;
  // Guarded by mutex.
  std::vector<Task> tasks;
  bool sleeping = false;
  // Constant.
  int bell = -1;

  void post(Task task) {
    bool ring;
    {
      std::lock_guard lock(mutex);
      tasks.push_back(std::move(task));
      ring = std::exchange(sleeping, false);
    }
    if (ring) this->ring();
  }
  void ring() {
    const std::uint64_t one = 1;
    // Can only fail by overflow of the counter, and then the bell rings anyway.
    [[maybe_unused]] const auto written = ::write(bell, &one, sizeof one);
  }
};

IoThread::IoThread(unsigned index, const base::Clock& clock)
    : index_(index), clock_(clock), inbox_(std::make_unique<Inbox>()), now_(clock.now()), wheel_(now_) {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  inbox_->bell = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  ETCDPP_ASSERT(epoll_ >= 0 && inbox_->bell >= 0, "epoll or eventfd could not be created: too many open files at start");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, inbox_->bell, &event);
}

IoThread::~IoThread() {
  // References to calls come home as tasks: run what is left, so that nothing leaks.
  run_remaining();
  locals_.clear();
  ::close(inbox_->bell);
  ::close(epoll_);
}

bool IoThread::run_remaining() {
  owner_ = std::this_thread::get_id();
  bool any = false;
  for (;;) {
    {
      std::lock_guard lock(inbox_->mutex);
      tasks_.swap(inbox_->tasks);
    }
    if (tasks_.empty() && retired_.empty()) return any;
    any = true;
    for (Task& task : tasks_) task();
    tasks_.clear();
    std::exchange(retired_, {}).clear();
  }
}

bool IoThread::is_current() const { return owner_.load(std::memory_order_relaxed) == std::this_thread::get_id(); }

void IoThread::post(Task task) { inbox_->post(std::move(task)); }

std::size_t IoThread::next_local_slot() {
  static std::atomic<std::size_t> next = 0;
  return next.fetch_add(1);
}

void IoThread::add_fd(int fd, std::uint32_t events, FdHandler& handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &handler;
  const int failed = ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  ETCDPP_ASSERT(failed == 0, "a descriptor could not be watched");
}

void IoThread::change_fd(int fd, std::uint32_t events, FdHandler& handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &handler;
  const int failed = ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
  ETCDPP_ASSERT(failed == 0, "a descriptor that is not watched was changed");
}

void IoThread::remove_fd(int fd) { ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr); }

void IoThread::pause_reading() {
  if (paused_++ == 0) {
    for (const auto& listener : pause_listeners_) listener(true);
  }
}

void IoThread::resume_reading() {
  ETCDPP_ASSERT(paused_ > 0, "reading was resumed more often than paused");
  if (--paused_ == 0) {
    for (const auto& listener : pause_listeners_) listener(false);
  }
}

bool IoThread::run_tasks() {
  {
    std::lock_guard lock(inbox_->mutex);
    inbox_->sleeping = false;
    if (inbox_->tasks.empty()) return false;
    tasks_.swap(inbox_->tasks);
  }
  now_ = clock_.now();
  for (Task& task : tasks_) task();
  tasks_.clear();
  return true;
}

void IoThread::step(base::Duration max_wait) {
  if (owner_.load(std::memory_order_relaxed) == std::thread::id()) owner_ = std::this_thread::get_id();

  if (std::exchange(again_, false)) max_wait = {};
  if (const auto due = wheel_.next_due()) max_wait = std::clamp<base::Duration>(*due - clock_.now(), base::Duration::zero(), max_wait);
  {
    std::lock_guard lock(inbox_->mutex);
    if (!inbox_->tasks.empty()) max_wait = {};
    inbox_->sleeping = max_wait > base::Duration::zero();
  }
  std::array<epoll_event, 256> events;
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(std::min<base::Duration>(max_wait, std::chrono::hours(1)));
  const int ready = ::epoll_wait(epoll_, events.data(), events.size(), static_cast<int>(milliseconds.count()));
  now_ = clock_.now();

  for (int i = 0; i < ready; ++i) {
    if (events[i].data.ptr != nullptr) {
      static_cast<FdHandler*>(events[i].data.ptr)->on_ready(events[i].events);
    } else {
      std::uint64_t rings;
      [[maybe_unused]] const auto got = ::read(inbox_->bell, &rings, sizeof rings);
    }
  }
  run_tasks();
  wheel_.advance(now_);
  for (const auto& hook : batch_end_hooks_) hook();
  // What the hooks answered is written in this turn, not after another look at the sockets. Tasks may bring the hooks work.
  if (run_tasks()) again_ = true;
  for (const auto& hook : write_hooks_) hook();
  // Destructors may retire more; those go in the next turn.
  std::exchange(retired_, {}).clear();
}

void IoThread::run() {
  owner_ = std::this_thread::get_id();
  while (!stopping_.load(std::memory_order_acquire)) step(std::chrono::hours(1));
  step({});
}

IoThreads::IoThreads(unsigned count, const base::Clock& clock) {
  for (unsigned i = 0; i < std::max(count, 1u); ++i) threads_.push_back(std::make_unique<IoThread>(i, clock));
}

IoThreads::~IoThreads() {
  stop();
  threads_.clear();
}

void IoThreads::start() {
  ETCDPP_ASSERT(running_.empty(), "the I/O threads were started twice");
  for (auto& thread : threads_) {
    running_.emplace_back([io = thread.get()] {
      ::pthread_setname_np(::pthread_self(), ("io-" + std::to_string(io->index())).c_str());
      io->run();
    });
  }
}

void IoThreads::stop() {
  for (auto& thread : threads_) {
    thread->stopping_.store(true, std::memory_order_release);
    thread->post([] {});
  }
  for (std::thread& thread : running_) thread.join();
  running_.clear();
}

void IoThreads::run_remaining() {
  bool any = true;
  while (std::exchange(any, false))
    for (auto& thread : threads_) any |= thread->run_remaining();
}

void IoThreads::pause_reading() {
  for (auto& thread : threads_) thread->post([io = thread.get()] { io->pause_reading(); });
}

void IoThreads::resume_reading() {
  for (auto& thread : threads_) thread->post([io = thread.get()] { io->resume_reading(); });
}

void IoThreads::run_in_each(const std::function<void(IoThread&)>& task) {
  std::mutex mutex;
  std::condition_variable done;
  std::size_t left = threads_.size();
  for (auto& thread : threads_) {
    thread->post([&, io = thread.get()] {
      task(*io);
      std::lock_guard lock(mutex);
      if (--left == 0) done.notify_one();
    });
  }
  std::unique_lock lock(mutex);
  done.wait(lock, [&] { return left == 0; });
}

}  // namespace etcdpp::net

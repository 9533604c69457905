#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <etcdpp/base/clock.h>
#include <etcdpp/net/executor.h>
#include <etcdpp/net/timer_wheel.h>

namespace etcdpp::net {

/// Told by an IoThread that its file descriptor can be read or written (epoll's bits).
class FdHandler {
 public:
  virtual ~FdHandler() = default;
  virtual void on_ready(std::uint32_t events) = 0;
};

/// One I/O thread: an epoll loop that owns its connections, their sessions and calls. Nobody else touches those;
/// others post closures to it.
///
/// One turn of the loop, in this order:
///   1. wait for sockets, tasks or the next timer (does not sleep while tasks are waiting);
///   2. read the ready sockets: every request that is complete is handed to its handler at once, in this thread;
///   3. run the tasks that others have posted, as one batch;
///   4. fire timers;
///   5. run the batch-end hooks: here the server puts all proposals of this turn into the raft inbox as one batch, and
///      watch hubs match what the event log has got; then the tasks that these have posted, answers mostly, and if there
///      were any the loop turns again without sleeping;
///   6. write: the server answers the small reads that have gathered, then what a connection's calls have to
///      say in this turn goes out as one send per connection.
///
/// A sender wakes the loop (one eventfd write) only when it sleeps, so a burst of posts costs one wake-up.
///
/// Threads: post from any; everything else from the owning thread, or before start().
class IoThread final : public Executor {
 public:
  IoThread(unsigned index, const base::Clock& clock);
  ~IoThread() override;

  unsigned index() const { return index_; }
  bool is_current() const override;
  base::Instant now() const override { return now_; }
  const base::Clock& clock() const { return clock_; }

  void post(Task task) override;

  /// Runs `hook` in step 5 of every turn. Register before start() or in this thread; hooks stay for ever.
  void on_batch_end(std::function<void()> hook) { batch_end_hooks_.push_back(std::move(hook)); }
  /// Runs `hook` in step 6 of every turn, in the order of registration: for those who write sockets, and for those who
  /// have answers for them, who come before start().
  void on_write_phase(std::function<void()> hook) { write_hooks_.push_back(std::move(hook)); }
  /// The next turn does not sleep: for a hook that has more to do than one turn should take.
  void turn_again() { again_ = true; }

  void arm(Timer& timer, base::Instant due) { wheel_.arm(timer, due); }

  /// Level-triggered interest in `events` (EPOLLIN, EPOLLOUT) of `fd`. The handler must outlive the current turn: delete
  /// it by retire().
  void add_fd(int fd, std::uint32_t events, FdHandler& handler);
  void change_fd(int fd, std::uint32_t events, FdHandler& handler);
  void remove_fd(int fd);
  /// Destroys `object` at the end of this turn, when no event of it can be in flight any more.
  void retire(std::unique_ptr<FdHandler> object) { retired_.push_back(std::move(object)); }

  /// The pause switch: while any reason to pause is held (counted), connections of this thread read nothing more off
  /// their sockets; HTTP/2 and TCP windows close and clients wait. Writing, timers and tasks go on. Used when the raft
  /// inbox is full, for as long as it is. In this thread only; listeners of pausing are told in the same turn.
  void pause_reading();
  void resume_reading();
  bool reading_paused() const { return paused_ != 0; }
  void on_pause_change(std::function<void(bool paused)> listener) { pause_listeners_.push_back(std::move(listener)); }

  /// One turn; sleeps at most `max_wait`. For tests and the simulator; the thread calls it in a loop.
  void step(base::Duration max_wait);

  /// Something that lives as long as the thread, one per type, made at first use in this thread: protocol code keeps
  /// its pools and buffers here.
  template <typename T>
  T& local() {
    static const std::size_t slot = next_local_slot();
    if (locals_.size() <= slot) locals_.resize(slot + 1);
    if (!locals_[slot]) locals_[slot] = std::make_shared<T>(*this);
    return *static_cast<T*>(locals_[slot].get());
  }

 private:
  friend class IoThreads;
  void run();
  /// Runs what was posted; false if there was nothing.
  bool run_tasks();
  bool run_remaining();
  static std::size_t next_local_slot();

  struct Inbox;

  const unsigned index_;
  const base::Clock& clock_;
  const std::unique_ptr<Inbox> inbox_;  // the only part that other threads touch
  std::atomic<std::thread::id> owner_{};
  std::atomic<bool> stopping_ = false;

  // Owned by the thread.
  int epoll_ = -1;
  base::Instant now_;
  TimerWheel wheel_;
  bool again_ = false;
  unsigned paused_ = 0;
  std::vector<Task> tasks_;
  std::vector<std::function<void()>> batch_end_hooks_;
  std::vector<std::function<void()>> write_hooks_;
  std::vector<std::function<void(bool)>> pause_listeners_;
  std::vector<std::unique_ptr<FdHandler>> retired_;
  std::vector<std::shared_ptr<void>> locals_;
};

/// The I/O threads of a process: one per core, named io-0, io-1, …
///
/// Ownership: they outlive every listener, connection and call. stop() ends the loops after the tasks already posted;
/// listeners are to be stopped first.
class IoThreads {
 public:
  explicit IoThreads(unsigned count, const base::Clock& clock);
  ~IoThreads();

  /// Starts the threads; hooks registered before are seen by the first turn.
  void start();
  /// Returns when every loop has ended. Idempotent.
  void stop();
  /// After stop(), in the caller's thread: runs the tasks that came too late for their own, and those that they post. For
  /// whoever stops other parts after the loops, while what the tasks refer to still exists.
  void run_remaining();

  unsigned size() const { return static_cast<unsigned>(threads_.size()); }
  IoThread& operator[](unsigned i) { return *threads_[i]; }
  /// The next thread for a new connection, in turn.
  IoThread& next() { return *threads_[turn_.fetch_add(1, std::memory_order_relaxed) % threads_.size()]; }

  /// pause_reading or resume_reading in every thread, from any thread (asynchronous).
  void pause_reading();
  void resume_reading();

  /// Runs `task` in every thread and returns when all have done so. Not from an I/O thread.
  void run_in_each(const std::function<void(IoThread&)>& task);

 private:
  std::vector<std::unique_ptr<IoThread>> threads_;
  std::vector<std::thread> running_;
  std::atomic<unsigned> turn_ = 0;
};

}  // namespace etcdpp::net

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <etcdpp/base/random.h>

namespace etcdpp::store_test {

/// Threads of one processor, switched where they meet: at every mutex, call of LMDB and write or sync of a file
/// (interposed.cc), in an order that a seed decides.
///
/// A mutex that another one holds is waited for by letting others run. Under ThreadSanitizer each fiber is a thread of its
/// own to it, and a switch orders nothing, so that it judges every schedule as if the fibers had been threads.
/// One Fibers at a time in a process.
class Fibers {
 public:
  /// A point becomes a switch once in `one_in` times. Once in `sleeps` (0: never) who was there falls asleep as well, for up
  /// to some thousand points: what happens meanwhile is more than a fair order would let happen between two steps of its.
  Fibers(std::uint64_t seed, std::uint64_t one_in, std::uint64_t sleeps);
  ~Fibers();

  void add(std::string name, std::function<void()> body);
  /// Until all have ended. Ends the process if they wait for each other for ever.
  void run();

  /// In a fiber: others may run now; or must, because this one cannot go on. In a thread: nothing; its time is given away.
  static void point();
  static void wait();
  static bool in_fiber();

  std::uint64_t switches() const { return switches_; }
  std::uint64_t points() const { return points_; }

 private:
  struct Fiber;
  static void enter();
  void switch_to(Fiber* next);
  Fiber* any_other();

  base::Random random_;
  const std::uint64_t one_in_, sleeps_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::unique_ptr<Fiber> home_;
  Fiber* current_ = nullptr;
  std::uint64_t switches_ = 0;
  std::uint64_t points_ = 0;
  std::uint64_t now_ = 0;  // points and waits
  std::uint64_t waits_in_a_row_ = 0;
};

}  // namespace etcdpp::store_test

#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace etcdpp::server {

/// Memory that sorted and filtered answers may hold together, from their first key to the last row sent; who would go over
/// it waits, first come, first served. One that is larger than all of it has it to itself.
///
/// Threads: any; a grant runs in the thread that made room, or at once in the caller's.
/// Bound: who waits is a call, and calls are bounded and have their end.
class SelectionBudget {
 public:
  explicit SelectionBudget(std::size_t bytes) : bytes_(bytes) {}

  /// A share, given back by destruction.
  class Share {
   public:
    Share() = default;
    Share(Share&& other) noexcept : budget_(std::exchange(other.budget_, nullptr)), bytes_(other.bytes_) {}
    Share& operator=(Share&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Share() {
      if (budget_) budget_->give_back(bytes_);
    }

    /// Gives back all but `bytes`.
    void shrink(std::size_t bytes) {
      if (budget_ && bytes < bytes_) budget_->give_back(std::exchange(bytes_, bytes) - bytes);
    }

   private:
    friend class SelectionBudget;
    Share(SelectionBudget* budget, std::size_t bytes) : budget_(budget), bytes_(bytes) {}
    SelectionBudget* budget_ = nullptr;
    std::size_t bytes_ = 0;
  };
  using Granted = std::move_only_function<void(Share)>;

  void acquire(std::size_t bytes, Granted granted) {
    {
      std::lock_guard lock(mutex_);
      if (!waiting_.empty() || !fits(bytes)) {
        waiting_.push_back({bytes, std::move(granted)});
        return;
      }
      taken_ += bytes;
    }
    granted(Share(this, bytes));
  }

 private:
  struct Waiting {
    std::size_t bytes;
    Granted granted;
  };

  bool fits(std::size_t bytes) const { return taken_ == 0 || taken_ + bytes <= bytes_; }
  void give_back(std::size_t bytes) {
    std::vector<Waiting> ready;
    {
      std::lock_guard lock(mutex_);
      taken_ -= bytes;
      while (!waiting_.empty() && fits(waiting_.front().bytes)) {
        taken_ += waiting_.front().bytes;
        ready.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
      }
    }
    for (Waiting& next : ready) next.granted(Share(this, next.bytes));
  }

  const std::size_t bytes_;
  std::mutex mutex_;
  // Guarded by mutex_.
  std::size_t taken_ = 0;
  std::deque<Waiting> waiting_;
};

}  // namespace etcdpp::server

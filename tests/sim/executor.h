#pragma once

#include <deque>

#include <etcdpp/base/clock.h>
#include <etcdpp/net/executor.h>

namespace etcdpp::sim {

/// The clients' side of the network: answers lie here until the simulator lets one arrive.
class Executor final : public net::Executor {
 public:
  explicit Executor(const base::Clock& clock) : clock_(clock) {}
  void post(net::Task task) override { tasks_.push_back(std::move(task)); }
  bool is_current() const override { return true; }
  base::Instant now() const override { return clock_.now(); }

  std::size_t waiting() const { return tasks_.size(); }
  bool step() {
    if (tasks_.empty()) return false;
    net::Task task = std::move(tasks_.front());
    tasks_.pop_front();
    task();
    return true;
  }
  /// What was on its way when the machine died.
  void drop() { tasks_.clear(); }

 private:
  const base::Clock& clock_;
  std::deque<net::Task> tasks_;
};

}  // namespace etcdpp::sim

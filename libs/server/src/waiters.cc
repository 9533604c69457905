// Hop 13 of a Put: see docs/LIFE_OF_A_PUT.md.
#include "waiters.h"

#include <algorithm>

namespace etcdpp::server {

bool Waiters::add(std::uint64_t id, Waiter waiter) {
  Shard& s = shard(id);
  std::lock_guard lock(s.mutex);
  return s.by_id.emplace(id, std::move(waiter)).second;
}

bool Waiters::waits(std::uint64_t id) const {
  const Shard& s = shard(id);
  std::lock_guard lock(s.mutex);
  return s.by_id.contains(id);
}

std::optional<Waiter> Waiters::take(std::uint64_t id) {
  Shard& s = shard(id);
  std::lock_guard lock(s.mutex);
  const auto it = s.by_id.find(id);
  if (it == s.by_id.end()) return std::nullopt;
  std::optional<Waiter> waiter(std::move(it->second));
  s.by_id.erase(it);
  return waiter;
}

std::vector<Waiter> Waiters::take_expired(base::Instant now) {
  std::vector<Waiter> expired;
  for (Shard& s : shards_) {
    std::lock_guard lock(s.mutex);
    for (auto it = s.by_id.begin(); it != s.by_id.end();) {
      if (it->second.deadline > now) {
        ++it;
        continue;
      }
      expired.push_back(std::move(it->second));
      it = s.by_id.erase(it);
    }
  }
  return expired;
}

std::vector<Waiter> Waiters::take_all() { return take_expired(base::Instant::max()); }

std::size_t Waiters::size() const {
  std::size_t n = 0;
  for (const Shard& s : shards_) {
    std::lock_guard lock(s.mutex);
    n += s.by_id.size();
  }
  return n;
}

void AnswerBatch::add(net::Executor* home, net::Task task) {
  const auto it = std::ranges::find(batches_, home, [](const auto& b) { return b.first; });
  if (it != batches_.end()) {
    it->second.push_back(std::move(task));
    return;
  }
  batches_.emplace_back(home, std::vector<net::Task>()).second.push_back(std::move(task));
}

void AnswerBatch::answer(Waiter waiter, base::Result<ResponseMessage> result) {
  net::Executor* home = waiter.home;
  add(home, [done = std::move(waiter.done), result = std::move(result)]() mutable { done(std::move(result)); });
}

void AnswerBatch::flush() {
  for (auto& [home, batch] : batches_)
    home->post([batch = std::move(batch)]() mutable {
      for (net::Task& task : batch) task();
    });
  batches_.clear();
}

}  // namespace etcdpp::server

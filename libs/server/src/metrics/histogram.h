#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <etcdpp/base/clock.h>

namespace etcdpp::server {

/// Upper bounds of `count` buckets, each `factor` times the one before.
inline std::vector<double> exponential_bounds(double start, double factor, unsigned count) {
  std::vector<double> bounds;
  for (double bound = start; bounds.size() < count; bound *= factor) bounds.push_back(bound);
  return bounds;
}

/// For the families that etcd keeps in milliseconds.
inline double milliseconds(base::Duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

/// How often values fell into which range. Threads: any; one observation is two relaxed additions.
class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds)
      : bounds_(std::move(bounds)), buckets_(std::make_unique<std::atomic<std::uint64_t>[]>(bounds_.size() + 1)) {}

  void observe(double value) {
    std::size_t i = 0;
    while (i < bounds_.size() && value > bounds_[i]) ++i;
    buckets_[i].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
  }
  void observe(base::Duration time) { observe(std::chrono::duration<double>(time).count()); }

  Histogram(Histogram&& other) noexcept : bounds_(other.bounds_), buckets_(std::move(other.buckets_)), sum_(other.sum()) {}

  const std::vector<double>& bounds() const { return bounds_; }
  /// Observations in bucket `i` alone; bounds().size() is the one without a bound.
  std::uint64_t in_bucket(std::size_t i) const { return buckets_[i].load(std::memory_order_relaxed); }
  bool empty() const {
    for (std::size_t i = 0; i <= bounds_.size(); ++i)
      if (in_bucket(i) != 0) return false;
    return true;
  }
  double sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  const std::vector<double> bounds_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> buckets_;
  std::atomic<double> sum_{0};
};

}  // namespace etcdpp::server

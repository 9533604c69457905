#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <prometheus/metric_family.h>

#include "histogram.h"

namespace etcdpp::server {

/// Label pairs in the order of their names.
using Labels = std::vector<prometheus::ClientMetric::Label>;

/// The metric families of one scrape, and their text form (Prometheus text format 0.0.4).
///
/// Threads: one owner. A family is added with its first sample; later samples of the same name join it.
class Families {
 public:
  void gauge(std::string_view name, std::string_view help, double value, Labels labels = {});
  void counter(std::string_view name, std::string_view help, double value, Labels labels = {});
  void histogram(std::string_view name, std::string_view help, const Histogram& histogram, Labels labels = {});
  /// `counts` are per bucket, the one without a bound last.
  void histogram(std::string_view name, std::string_view help, std::span<const double> bounds,
                 std::span<const std::uint64_t> counts, double sum, Labels labels = {});

  /// Everything, sorted by name.
  std::string text() &&;

 private:
  prometheus::ClientMetric& add(prometheus::MetricType type, std::string_view name, std::string_view help, Labels labels);
  std::vector<prometheus::MetricFamily> families_;
};

}  // namespace etcdpp::server

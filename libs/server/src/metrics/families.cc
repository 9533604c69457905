#include "families.h"

#include <algorithm>
#include <limits>

#include <prometheus/text_serializer.h>

namespace etcdpp::server {

prometheus::ClientMetric& Families::add(prometheus::MetricType type, std::string_view name, std::string_view help, Labels labels) {
  // Samples of a family are usually added one after the other.
  auto family = std::ranges::find(families_.rbegin(), families_.rend(), name, &prometheus::MetricFamily::name);
  if (family == families_.rend()) {
    families_.push_back({std::string(name), std::string(help), type, {}});
    family = families_.rbegin();
  }
  auto& sample = family->metric.emplace_back();
  sample.label = std::move(labels);
  return sample;
}

void Families::gauge(std::string_view name, std::string_view help, double value, Labels labels) {
  add(prometheus::MetricType::Gauge, name, help, std::move(labels)).gauge.value = value;
}

void Families::counter(std::string_view name, std::string_view help, double value, Labels labels) {
  add(prometheus::MetricType::Counter, name, help, std::move(labels)).counter.value = value;
}

void Families::histogram(std::string_view name, std::string_view help, const Histogram& histogram, Labels labels) {
  std::vector<std::uint64_t> counts;
  for (std::size_t i = 0; i <= histogram.bounds().size(); ++i) counts.push_back(histogram.in_bucket(i));
  this->histogram(name, help, histogram.bounds(), counts, histogram.sum(), std::move(labels));
}

void Families::histogram(std::string_view name, std::string_view help, std::span<const double> bounds,
                         std::span<const std::uint64_t> counts, double sum, Labels labels) {
  auto& out = add(prometheus::MetricType::Histogram, name, help, std::move(labels)).histogram;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    out.sample_count += counts[i];
    out.bucket.push_back({out.sample_count, i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity()});
  }
  out.sample_sum = sum;
}

std::string Families::text() && {
  std::ranges::sort(families_, {}, &prometheus::MetricFamily::name);
  return prometheus::TextSerializer().Serialize(families_);
}

}  // namespace etcdpp::server

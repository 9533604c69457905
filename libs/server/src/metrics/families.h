#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "histogram.h"

namespace etcdpp::server {

/// Label pairs in the order of their names.
using Labels = std::vector<std::pair<std::string_view, std::string>>;

/// The metric families of one scrape, and their text form (Prometheus text format 0.0.4).
///
/// Threads: one owner. A family is added with its first sample; later samples of the same name join it. Numbers are
/// printed as Go prints them, in labels too (le="1.048576e+06"): another form would be another series.
class Families {
 public:
  void gauge(std::string_view name, std::string_view help, double value, const Labels& labels = {});
  void counter(std::string_view name, std::string_view help, double value, const Labels& labels = {});
  void histogram(std::string_view name, std::string_view help, const Histogram& histogram, const Labels& labels = {});
  /// `counts` are per bucket, the one without a bound last.
  void histogram(std::string_view name, std::string_view help, std::span<const double> bounds,
                 std::span<const std::uint64_t> counts, double sum, const Labels& labels = {});

  /// Everything, sorted by name.
  std::string text() &&;

 private:
  struct Family {
    std::string name;
    std::string text;
  };
  std::string& open(std::string_view name, std::string_view help, std::string_view type);
  std::vector<Family> families_;
};

/// The shortest text that reads back as `value`, with an exponent from 1e+06 and below 1e-4 on.
std::string go_number(double value);

}  // namespace etcdpp::server

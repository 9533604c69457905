#include "families.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace etcdpp::server {

namespace {

/// Appends `name{label="value",…} value`.
void append_sample(std::string& out, std::string_view name, std::string_view suffix, const Labels& labels, std::string_view bound,
                   double value) {
  out += name;
  out += suffix;
  char separator = '{';
  for (const auto& [label, text] : labels) {
    out += separator;
    out += label;
    out += "=\"";
    for (const char c : text) {
      if (c == '\\' || c == '"') out += '\\';
      if (c == '\n') out += "\\n";
      else out += c;
    }
    out += '"';
    separator = ',';
  }
  if (!bound.empty()) {
    out += separator;
    out += "le=\"";
    out += bound;
    out += '"';
    separator = ',';
  }
  if (separator == ',') out += '}';
  out += ' ';
  out += go_number(value);
  out += '\n';
}

}  // namespace

std::string go_number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char buffer[64];
  const double size = std::fabs(value);
  const auto format = size != 0 && (size < 1e-4 || size >= 1e6) ? std::chars_format::scientific : std::chars_format::fixed;
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, format);
  return {buffer, end.ptr};
}

std::string& Families::open(std::string_view name, std::string_view help, std::string_view type) {
  // Samples of a family are usually added one after the other.
  const auto found = std::ranges::find(families_.rbegin(), families_.rend(), name, &Family::name);
  if (found != families_.rend()) return found->text;
  Family& family = families_.emplace_back();
  family.name = name;
  for (const std::string_view part : {std::string_view("# HELP "), name, std::string_view(" "), help, std::string_view("\n# TYPE "), name,
                                      std::string_view(" "), type, std::string_view("\n")})
    family.text += part;
  return family.text;
}

void Families::gauge(std::string_view name, std::string_view help, double value, const Labels& labels) {
  append_sample(open(name, help, "gauge"), name, {}, labels, {}, value);
}

void Families::counter(std::string_view name, std::string_view help, double value, const Labels& labels) {
  append_sample(open(name, help, "counter"), name, {}, labels, {}, value);
}

void Families::histogram(std::string_view name, std::string_view help, const Histogram& histogram, const Labels& labels) {
  std::vector<std::uint64_t> counts;
  for (std::size_t i = 0; i <= histogram.bounds().size(); ++i) counts.push_back(histogram.in_bucket(i));
  this->histogram(name, help, histogram.bounds(), counts, histogram.sum(), labels);
}

void Families::histogram(std::string_view name, std::string_view help, std::span<const double> bounds,
                         std::span<const std::uint64_t> counts, double sum, const Labels& labels) {
  std::string& out = open(name, help, "histogram");
  std::uint64_t cumulative = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    cumulative += counts[i];
    const double bound = i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity();
    append_sample(out, name, "_bucket", labels, go_number(bound), static_cast<double>(cumulative));
  }
  append_sample(out, name, "_sum", labels, {}, sum);
  append_sample(out, name, "_count", labels, {}, static_cast<double>(cumulative));
}

std::string Families::text() && {
  std::ranges::sort(families_, {}, &Family::name);
  std::string out;
  for (const Family& family : families_) out += family.text;
  return out;
}

}  // namespace etcdpp::server

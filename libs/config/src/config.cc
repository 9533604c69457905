#include <etcdpp/config/config.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include <etcdpp/config/errc.h>

#include "go_syntax.h"

namespace etcdpp::config {

namespace {
template <typename T>
T or_default(T value, T if_zero) {
  return value == T{} ? if_zero : value;
}
}  // namespace

std::string Config::effective_initial_cluster() const {
  if (initial_cluster) return *initial_cluster;
  std::string text;
  for (const Url& url : initial_advertise_peer_urls) text += (text.empty() ? "" : ",") + name + "=" + url.text();
  return text;
}

base::Result<InitialCluster> Config::members() const { return parse_initial_cluster(effective_initial_cluster()); }

std::uint64_t Config::effective_quota_bytes() const {
  if (quota_backend_bytes < 0) return 0;
  return or_default<std::uint64_t>(static_cast<std::uint64_t>(quota_backend_bytes), 2'147'483'648);
}

base::Duration Config::effective_backend_batch_interval() const {
  return or_default<base::Duration>(backend_batch_interval, milliseconds(100));
}

std::uint64_t Config::effective_backend_batch_limit() const {
  return backend_batch_limit <= 0 ? 10'000 : static_cast<std::uint64_t>(backend_batch_limit);
}

std::uint64_t Config::effective_compaction_batch_limit() const {
  return compaction_batch_limit <= 0 ? 1'000 : static_cast<std::uint64_t>(compaction_batch_limit);
}

base::Duration Config::effective_compaction_sleep_interval() const {
  return or_default<base::Duration>(compaction_sleep_interval, milliseconds(10));
}

base::Duration Config::effective_watch_progress_notify_interval() const {
  const auto interval = or_default<base::Duration>(watch_progress_notify_interval, std::chrono::minutes(10));
  return std::max<base::Duration>(interval, milliseconds(100));
}

base::Result<base::Duration> Config::parsed_auto_compaction_retention() const {
  const auto refuse = [](std::string why) { return base::Error(Errc::kInvalidConfig, "error parsing CompactionRetention: " + why); };
  std::string_view text = auto_compaction_retention;
  if (text.empty()) return base::Duration{};
  if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
  std::int64_t number = 0;
  const auto [stop, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code == std::errc() && stop == text.data() + text.size() && number >= 0) {
    if (auto_compaction_mode == "revision") return base::Duration(number);
    constexpr base::Duration kHour = std::chrono::hours(1);
    if (number > std::numeric_limits<std::int64_t>::max() / kHour.count())
      return refuse("more hours than a duration holds: " + quoted(auto_compaction_retention));
    return number * kHour;
  }
  const auto duration = parse_go_duration(auto_compaction_retention);
  if (!duration) return refuse(duration.error().context);
  if (*duration < base::Duration{}) return refuse("history of less than no time cannot be kept: " + quoted(auto_compaction_retention));
  return *duration;
}

}  // namespace etcdpp::config

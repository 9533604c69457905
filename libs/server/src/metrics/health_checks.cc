#include "health_checks.h"

#include <algorithm>

namespace etcdpp::server {

void HealthCheckCounts::count(std::string_view type, std::string_view name, bool success) {
  for (std::size_t i = 0; i < kChecks.size(); ++i) {
    if (kChecks[i].type != type || kChecks[i].name != name) continue;
    counts_[i].last_success.store(success, std::memory_order_relaxed);
    (success ? counts_[i].successes : counts_[i].errors).add();
  }
}

void HealthCheckCounts::collect(Families& families) const {
  for (std::size_t i = 0; i < kChecks.size(); ++i) {
    const std::uint64_t successes = counts_[i].successes.value();
    const std::uint64_t errors = counts_[i].errors.value();
    if (successes + errors == 0) continue;
    const std::string type(kChecks[i].type), name(kChecks[i].name);
    families.gauge("etcd_server_healthcheck", "1 where the check was good when it was last run.", counts_[i].last_success,
                   {{"name", name}, {"type", type}});
    const auto add = [&](const char* status, std::uint64_t n) {
      if (n == 0) return;
      families.counter("etcd_server_healthchecks_total", "Runs of each check, by outcome.", static_cast<double>(n),
                       {{"name", name}, {"status", status}, {"type", type}});
    };
    add("error", errors);
    add("success", successes);
  }
}

}  // namespace etcdpp::server

#pragma once

#include <array>
#include <atomic>
#include <string_view>

#include "counter.h"
#include "families.h"

namespace etcdpp::server {

/// Outcomes of the checks behind /livez and /readyz: etcd_server_healthcheck and etcd_server_healthchecks_total.
/// Threads: any. A check is in the page once it has been run, as in etcd.
class HealthCheckCounts {
 public:
  struct Check {
    std::string_view type;  ///< "livez", "readyz"
    std::string_view name;
  };
  static constexpr std::array kChecks{Check{"livez", "serializable_read"},   Check{"readyz", "data_corruption"},
                                      Check{"readyz", "serializable_read"},  Check{"readyz", "linearizable_read"},
                                      Check{"readyz", "non_learner"},        Check{"readyz", "database_commit"}};

  void count(std::string_view type, std::string_view name, bool success);
  void collect(Families& families) const;

 private:
  struct Count {
    std::atomic<bool> last_success{false};
    Counter successes, errors;
  };
  std::array<Count, kChecks.size()> counts_;
};

}  // namespace etcdpp::server

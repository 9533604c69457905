#include <fmt/format.h>

#include "checkers.h"

namespace etcdpp::sim {

void check_lease_end(const LeaseEnd& end, const History& history, const Report& report) {
  const auto promise = history.lease_promises.find(end.id);
  if (promise == history.lease_promises.end()) return;  // nobody was told that it exists
  // An id that is granted anew can be hit by a revocation that was proposed twice for its predecessor, as in etcd.
  if (history.grants_asked.at(end.id) > 1) return;
  // A revocation may take effect long after it was asked for, over a restart too.
  const auto revocation = history.revocations.find(end.id);
  if (revocation != history.revocations.end() && revocation->second + std::chrono::seconds(60) >= promise->second.asked_at) return;
  const auto due = promise->second.asked_at + std::chrono::seconds(promise->second.ttl_seconds);
  if (end.at < due)
    report(fmt::format("leases: lease {} ended {} ms before the {} s that were promised had passed", end.id,
                       std::chrono::duration_cast<std::chrono::milliseconds>(due - end.at).count(), promise->second.ttl_seconds));
}

}  // namespace etcdpp::sim

#pragma once

#include <etcdpp/backend/backend.h>
#include <etcdpp/base/clock.h>
#include <etcdpp/base/logger.h>
#include <etcdpp/lease/lessor.h>
#include <etcdpp/mvcc/store.h>

#include "../alarms.h"
#include "../member_state.h"
#include "../membership.h"
#include "../metrics/member_metrics.h"
#include "../waiters.h"
#include "quota.h"

namespace etcdpp::server {

/// Everything that an entry can change. All of it belongs to the apply loop.
struct ApplyState {
  mvcc::Store& store;
  lease::Lessor& lessor;
  backend::Backend& backend;
  Membership& membership;
  MembershipRows& membership_rows;
  Alarms& alarms;
  const Quota& quota;
  const base::Clock& clock;
  base::Logger& logger;
  MemberMetrics& metrics;
  std::uint64_t local_member_id = 0;
  std::size_t max_learners = 1;
  /// Feature gate LeaseCheckpointPersist.
  bool persist_checkpoints = false;
  base::Duration warning_apply_duration = std::chrono::milliseconds(100);
  /// What the entry being applied did to the store.
  Operations done{};
};

/// What an entry came to. A request that failed has moved the consistent index all the same.
struct Applied {
  base::Result<ResponseMessage> response{ResponseMessage{}};
  /// The answer waits until the compaction that this entry scheduled is over and committed.
  bool wait_for_compaction = false;
};

}  // namespace etcdpp::server

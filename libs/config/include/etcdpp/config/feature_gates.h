#pragma once

#include <string>
#include <string_view>

#include <etcdpp/base/result.h>

namespace etcdpp::config {

/// The switches of `--feature-gates`, with the defaults of 3.7.
struct FeatureGates {
  bool stop_grpc_service_on_defrag = false;
  bool initial_corrupt_check = false;
  bool compact_hash_check = false;
  bool txn_mode_write_with_shared_buffer = true;
  bool lease_checkpoint = false;
  bool lease_checkpoint_persist = false;
  bool set_member_local_addr = false;
  bool priority_request = false;
  bool fast_lease_keep_alive = true;

  friend bool operator==(const FeatureGates&, const FeatureGates&) = default;
};

/// "A=true,B=false"; AllAlpha and AllBeta set every gate of that stage that is not named itself.
base::Result<FeatureGates> parse_feature_gates(std::string_view text);

}  // namespace etcdpp::config

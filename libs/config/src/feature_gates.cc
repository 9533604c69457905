#include <etcdpp/config/feature_gates.h>

#include <algorithm>
#include <array>
#include <optional>

#include <etcdpp/config/errc.h>

#include "go_syntax.h"

namespace etcdpp::config {

namespace {

enum class Stage { kAlpha, kBeta };

struct Gate {
  std::string_view name;
  Stage stage;
  bool FeatureGates::*value;
};

constexpr std::array<Gate, 9> kGates{{
    {"StopGRPCServiceOnDefrag", Stage::kAlpha, &FeatureGates::stop_grpc_service_on_defrag},
    {"InitialCorruptCheck", Stage::kAlpha, &FeatureGates::initial_corrupt_check},
    {"CompactHashCheck", Stage::kAlpha, &FeatureGates::compact_hash_check},
    {"TxnModeWriteWithSharedBuffer", Stage::kBeta, &FeatureGates::txn_mode_write_with_shared_buffer},
    {"LeaseCheckpoint", Stage::kAlpha, &FeatureGates::lease_checkpoint},
    {"LeaseCheckpointPersist", Stage::kAlpha, &FeatureGates::lease_checkpoint_persist},
    {"SetMemberLocalAddr", Stage::kAlpha, &FeatureGates::set_member_local_addr},
    {"PriorityRequest", Stage::kAlpha, &FeatureGates::priority_request},
    {"FastLeaseKeepAlive", Stage::kBeta, &FeatureGates::fast_lease_keep_alive},
}};

}  // namespace

base::Result<FeatureGates> parse_feature_gates(std::string_view text) {
  FeatureGates gates;
  if (trimmed(text).empty()) return gates;
  const auto refuse = [](std::string what) { return base::Error(Errc::kInvalidFeatureGate, std::move(what)); };
  std::array<std::optional<bool>, kGates.size()> named{};
  std::optional<bool> all_alpha, all_beta;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view item = text.substr(0, comma);
    const std::size_t equals = item.find('=');
    const std::string_view name = trimmed(item.substr(0, equals));
    if (equals == std::string_view::npos) {
      return refuse("missing bool value for " + std::string(name));
    }
    const std::string_view value_text = trimmed(item.substr(equals + 1));
    const std::optional<bool> value = parse_go_bool(value_text);
    if (!value) {
      return refuse("invalid value of " + std::string(name) + "=" + std::string(value_text) +
                    ", err: strconv.ParseBool: parsing " + quoted(value_text) + ": invalid syntax");
    }
    const auto gate = std::find_if(kGates.begin(), kGates.end(), [&](const Gate& g) { return g.name == name; });
    if (name == "AllAlpha") all_alpha = value;
    else if (name == "AllBeta") all_beta = value;
    else if (gate != kGates.end()) named[static_cast<std::size_t>(gate - kGates.begin())] = value;
    else return refuse("unrecognized feature gate: " + std::string(name));
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  for (std::size_t i = 0; i < kGates.size(); ++i) {
    const std::optional<bool>& of_stage = kGates[i].stage == Stage::kAlpha ? all_alpha : all_beta;
    if (of_stage) gates.*kGates[i].value = *of_stage;
    if (named[i]) gates.*kGates[i].value = *named[i];
  }
  return gates;
}

}  // namespace etcdpp::config

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <etcdpp/config/initial_cluster.h>

namespace etcdpp::config {

/// How etcd names members and clusters: the first eight bytes, big-endian, of a SHA-1. Pure functions.

/// Of the sorted peer URLs, joined without a separator, then the token; a member added at run time has an empty token
/// and the second of its request instead. Printed in lower-case hexadecimal without padding (base::hex).
std::uint64_t member_id(std::vector<std::string> peer_urls, std::string_view token,
                        std::optional<std::int64_t> unix_seconds = {});

/// Of the member ids in ascending order, eight big-endian bytes each.
std::uint64_t cluster_id(std::vector<std::uint64_t> member_ids);

/// The identity of one bootstrap member.
struct BootstrapMember {
  std::uint64_t id = 0;
  std::string name;
  std::vector<std::string> peer_urls;
};

struct BootstrapIdentity {
  std::uint64_t cluster_id = 0;
  /// Ordered by id: the order in which the log's first entries add them.
  std::vector<BootstrapMember> members;
};

/// Ids of every member that `--initial-cluster` names. An id of zero or two equal ids are refused.
base::Result<BootstrapIdentity> bootstrap_identity(const InitialCluster& cluster, std::string_view token);

}  // namespace etcdpp::config

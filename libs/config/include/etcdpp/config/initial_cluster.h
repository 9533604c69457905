#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <etcdpp/base/result.h>
#include <etcdpp/config/url.h>

namespace etcdpp::config {

/// The bootstrap members: name to sorted peer URLs, ordered by name.
using InitialCluster = std::map<std::string, std::vector<Url>>;

/// `--initial-cluster`: "a=http://…,b=http://…"; a repeated name adds a URL.
base::Result<InitialCluster> parse_initial_cluster(std::string_view text);

/// "a=http://…,a=http://…,b=http://…", names and URLs in order.
std::string initial_cluster_text(const InitialCluster& cluster);

}  // namespace etcdpp::config

#pragma once

#include <functional>
#include <map>
#include <optional>
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

/// Turns "name:port" into "address:port"; nullopt if it cannot (the text is compared as it is).
using Resolver = std::function<std::optional<std::string>(const std::string& host)>;

/// What etcd checks before it bootstraps a new member: its name is there, no URL is listed twice, and its URLs are the
/// advertised ones (compared as text, else resolved). The error's context is etcd's sentence. Not asked once a WAL exists.
base::Result<> check_local_member(const InitialCluster& cluster, const std::string& name,
                                  const std::vector<Url>& advertised, const Resolver& resolve = {});

}  // namespace etcdpp::config

#include <etcdpp/config/initial_cluster.h>

#include <algorithm>
#include <set>

#include <etcdpp/config/errc.h>

#include "go_syntax.h"

namespace etcdpp::config {

namespace {

base::Error refuse_cluster(std::string what) { return {Errc::kInvalidInitialCluster, std::move(what)}; }

/// ["a" "b"], Go's %q of a list.
std::string quoted_list(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ' ';
    out += quoted(text);
  }
  return out + "]";
}

Url resolved(Url url, const Resolver& resolve) {
  // etcd leaves these names alone too: what they mean is the host's business.
  if (!resolve || url.unix_socket() || url.hostname() == "localhost") return url;
  if (auto host = resolve(url.host)) url.host = std::move(*host);
  return url;
}

}  // namespace

base::Result<InitialCluster> parse_initial_cluster(std::string_view text) {
  InitialCluster cluster;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view item = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (item.empty()) continue;
    const std::size_t equals = item.find('=');
    const std::string name(item.substr(0, equals));
    auto url = parse_url(equals == std::string_view::npos ? std::string_view() : item.substr(equals + 1));
    if (!url) return refuse_cluster("error setting up initial cluster: " + url.error().context);
    cluster[name].push_back(std::move(*url));
  }
  for (auto& [name, urls] : cluster) {
    std::sort(urls.begin(), urls.end(), [](const Url& a, const Url& b) { return a.text() < b.text(); });
  }
  return cluster;
}

std::string initial_cluster_text(const InitialCluster& cluster) {
  std::string text;
  for (const auto& [name, urls] : cluster) {
    for (const Url& url : urls) {
      if (!text.empty()) text += ',';
      text += name + "=" + url.text();
    }
  }
  return text;
}

base::Result<> check_local_member(const InitialCluster& cluster, const std::string& name,
                                  const std::vector<Url>& advertised, const Resolver& resolve) {
  const auto local = cluster.find(name);
  if (local == cluster.end()) {
    return refuse_cluster("couldn't find local name " + quoted(name) + " in the initial cluster configuration");
  }
  std::set<std::string> seen;
  for (const auto& [member, urls] : cluster) {
    for (const Url& url : urls) {
      if (!seen.insert(url.text()).second) {
        return refuse_cluster("initial cluster " + initial_cluster_text(cluster) + " has duplicate url");
      }
    }
  }
  const std::vector<std::string> listed = url_texts(local->second), announced = url_texts(advertised);
  if (std::is_permutation(listed.begin(), listed.end(), announced.begin(), announced.end())) return {};

  std::string why;
  if (listed.size() != announced.size()) {
    why = "len(" + quoted_list(announced) + ") != len(" + quoted_list(listed) + ")";
  } else {
    std::vector<std::string> a, b;
    for (const Url& url : advertised) a.push_back(resolved(url, resolve).text());
    for (const Url& url : local->second) b.push_back(resolved(url, resolve).text());
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    if (a == b) return {};
    const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin());
    why = "resolved urls: " + quoted(*x) + " != " + quoted(*y);
  }
  // The side that has more is named first, as etcd does.
  std::vector<std::string> missing;
  for (const std::string& url : listed) {
    if (std::find(announced.begin(), announced.end(), url) == announced.end()) missing.push_back(name + "=" + url);
  }
  const auto join = [](const std::vector<std::string>& texts) {
    std::string out;
    for (const std::string& text : texts) out += (out.empty() ? "" : ",") + text;
    return out;
  };
  if (!missing.empty()) {
    return refuse_cluster("--initial-cluster has " + join(missing) + " but missing from --initial-advertise-peer-urls=" +
                  join(announced) + " (" + why + ")");
  }
  for (const std::string& url : announced) {
    if (std::find(listed.begin(), listed.end(), url) == listed.end()) missing.push_back(url);
  }
  return refuse_cluster("--initial-advertise-peer-urls has " + join(missing) + " but missing from --initial-cluster=" +
                initial_cluster_text(cluster));
}

}  // namespace etcdpp::config

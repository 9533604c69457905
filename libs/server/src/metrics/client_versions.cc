#include "client_versions.h"

namespace etcdpp::server {

ClientVersions::Version& ClientVersions::find(std::string_view name) {
  std::size_t known = known_.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < known; ++i)
    if (versions_[i]->name == name) return *versions_[i];
  std::lock_guard lock(adding_);
  for (std::size_t i = known; i < known_.load(std::memory_order_relaxed); ++i)
    if (versions_[i]->name == name) return *versions_[i];
  known = known_.load(std::memory_order_relaxed);
  if (known > kVersions) return *versions_[kVersions];
  versions_[known] = std::make_unique<Version>();
  versions_[known]->name = known == kVersions ? std::string("other") : std::string(name);
  known_.store(known + 1, std::memory_order_release);
  return *versions_[known];
}

void ClientVersions::count(std::string_view version, bool stream) {
  if (version.empty()) version = "unknown";
  if (version.size() > kMaxLength) version = "other";
  Version& found = find(version);
  (stream ? found.stream : found.unary).add();
}

void ClientVersions::collect(Families& families) const {
  const std::size_t known = known_.load(std::memory_order_acquire);
  for (const bool stream : {false, true})
    for (std::size_t i = 0; i < known; ++i) {
      const std::uint64_t count = (stream ? versions_[i]->stream : versions_[i]->unary).value();
      if (count == 0) continue;
      families.counter("etcd_server_client_requests_total", "Calls by the API version that the client names.", static_cast<double>(count),
                       {{"client_api_version", versions_[i]->name}, {"type", stream ? "stream" : "unary"}});
    }
}

}  // namespace etcdpp::server

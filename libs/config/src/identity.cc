#include <etcdpp/config/identity.h>

#include <algorithm>
#include <array>

#include <etcdpp/base/assert.h>
#include <etcdpp/base/bytes.h>
#include <etcdpp/config/errc.h>
#include <openssl/evp.h>

namespace etcdpp::config {

namespace {

std::uint64_t first_bytes_of_sha1(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  const int ok = EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha1(), nullptr);
  ETCDPP_ASSERT(ok == 1 && size == 20, "SHA-1 of OpenSSL is not available");
  return base::get_be64(reinterpret_cast<const char*>(digest.data()));
}

}  // namespace

std::uint64_t member_id(std::vector<std::string> peer_urls, std::string_view token,
                        std::optional<std::int64_t> unix_seconds) {
  std::sort(peer_urls.begin(), peer_urls.end());
  std::string bytes;
  for (const std::string& url : peer_urls) bytes += url;
  bytes += token;
  if (unix_seconds) bytes += std::to_string(*unix_seconds);
  return first_bytes_of_sha1(bytes);
}

std::uint64_t cluster_id(std::vector<std::uint64_t> member_ids) {
  std::sort(member_ids.begin(), member_ids.end());
  std::string bytes(member_ids.size() * 8, '\0');
  for (std::size_t i = 0; i < member_ids.size(); ++i) base::put_be64(bytes.data() + i * 8, member_ids[i]);
  return first_bytes_of_sha1(bytes);
}

base::Result<BootstrapIdentity> bootstrap_identity(const InitialCluster& cluster, std::string_view token) {
  BootstrapIdentity identity;
  std::vector<std::uint64_t> ids;
  for (const auto& [name, urls] : cluster) {
    std::vector<std::string> texts = url_texts(urls);
    std::sort(texts.begin(), texts.end());
    const std::uint64_t id = member_id(texts, token);
    if (id == 0) return base::Error(Errc::kInvalidInitialCluster, "the id of member " + name + " is 0: change its peer URLs");
    if (std::find(ids.begin(), ids.end(), id) != ids.end()) {
      return base::Error(Errc::kInvalidInitialCluster, "two members have the id " + base::hex(id) + ", one of them " + name);
    }
    ids.push_back(id);
    identity.members.push_back({id, name, std::move(texts)});
  }
  std::sort(identity.members.begin(), identity.members.end(),
            [](const BootstrapMember& a, const BootstrapMember& b) { return a.id < b.id; });
  identity.cluster_id = cluster_id(std::move(ids));
  return identity;
}

}  // namespace etcdpp::config

#include <etcdpp/bolt/sha256.h>

#include <openssl/evp.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include <etcdpp/base/assert.h>

namespace etcdpp::bolt {

struct Sha256::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  ETCDPP_ASSERT(context_->evp && EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) == 1, "OpenSSL has SHA-256");
}
Sha256::~Sha256() = default;

void Sha256::add(base::BytesView bytes) { EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size()); }

Sha256::Digest Sha256::digest() {
  Digest out;
  EVP_DigestFinal_ex(context_->evp, reinterpret_cast<unsigned char*>(out.data()), nullptr);
  return out;
}

base::Result<Sha256::Digest> sha256_of(base::File& file, std::uint64_t length, const std::function<void(std::uint64_t)>& progress) {
  Sha256 sha;
  std::vector<char> buffer(std::size_t{256} << 10);
  for (std::uint64_t at = 0; at < length;) {
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), length - at));
    ETCDPP_ASSIGN(const std::size_t got, file.read_at(at, buffer.data(), wanted));
    if (got == 0) return base::errno_error(EIO, file.path() + ": has become shorter while it was read");
    sha.add({buffer.data(), got});
    at += got;
    if (progress) progress(at);
  }
  return sha.digest();
}

}  // namespace etcdpp::bolt

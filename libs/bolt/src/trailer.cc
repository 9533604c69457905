#include <etcdpp/bolt/trailer.h>

#include <algorithm>
#include <memory>
#include <vector>

#include <etcdpp/bolt/sha256.h>

namespace etcdpp::bolt {

base::Result<Trailer> check_trailer(base::Env& env, const std::string& path, const std::function<void(std::uint64_t)>& progress) {
  constexpr std::size_t kSectorSize = 512;
  ETCDPP_ASSIGN(const auto file, env.open(path, base::OpenMode::kReadOnly));
  ETCDPP_ASSIGN(const std::uint64_t size, file->size());
  if (size % kSectorSize != Sha256::kSize) return Trailer::kAbsent;
  ETCDPP_ASSIGN(const auto digest, sha256_of(*file, size - Sha256::kSize, progress));
  Sha256::Digest stored;
  ETCDPP_ASSIGN(const std::size_t got, file->read_at(size - stored.size(), stored.data(), stored.size()));
  return got == stored.size() && stored == digest ? Trailer::kRight : Trailer::kWrong;
}

}  // namespace etcdpp::bolt

#include <etcdpp/base/random.h>

#include <sys/random.h>

#include <etcdpp/base/assert.h>

namespace etcdpp::base {

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  ETCDPP_ASSERT(getrandom(&seed, sizeof seed, 0) == sizeof seed, "the kernel gives random bytes");
  return seed;
}

}  // namespace etcdpp::base

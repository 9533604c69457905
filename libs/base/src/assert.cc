#include <etcdpp/base/assert.h>

#include <cstdio>
#include <cstdlib>

namespace etcdpp::base {

void assertion_failed(std::string_view condition, std::string_view what, const char* file, int line) {
  std::fprintf(stderr, "etcdpp: broken invariant: %.*s (%.*s) at %s:%d\n", static_cast<int>(what.size()), what.data(),
               static_cast<int>(condition.size()), condition.data(), file, line);
  std::fflush(stderr);
  std::abort();
}

}  // namespace etcdpp::base

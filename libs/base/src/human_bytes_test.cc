#include <etcdpp/base/human_bytes.h>

#include <limits>

#include <doctest/doctest.h>

namespace etcdpp::base {

TEST_CASE("sizes for people have two digits and SI units") {
  CHECK(human_bytes(0) == "0 B");
  CHECK(human_bytes(82) == "82 B");
  CHECK(human_bytes(24576) == "25 kB");
  CHECK(human_bytes(2147483648) == "2.1 GB");
  CHECK(human_bytes(std::numeric_limits<std::uint64_t>::max()) == "18 EB");
}

}  // namespace etcdpp::base

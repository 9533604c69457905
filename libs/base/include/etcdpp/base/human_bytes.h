#pragma once

#include <cstdint>
#include <string>

namespace etcdpp::base {

/// A size for people, as etcd prints it: SI units, two significant digits ("25 kB", "2.1 GB").
std::string human_bytes(std::uint64_t bytes);

}  // namespace etcdpp::base

#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace etcdpp::net {

enum class Gunzip { kOk, kTooLarge, kMalformed };

/// Undoes gzip into `out` (replaced). Stops as soon as more than `limit` bytes come out, so that a small bomb costs no
/// more than that.
Gunzip gunzip(std::string_view compressed, std::size_t limit, std::string& out);

/// gzip at the fastest level.
std::string gzip(std::string_view bytes);

}  // namespace etcdpp::net

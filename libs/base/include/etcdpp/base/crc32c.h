#pragma once

#include <cstdint>
#include <string_view>

namespace etcdpp::base {

/// CRC-32C (Castagnoli), continued: crc32c(crc32c(0, a), b) == crc32c(0, a ‖ b). Same values as Go's crc32.Update.
/// Uses the processor's instruction where there is one, tables elsewhere.
std::uint32_t crc32c(std::uint32_t crc, std::string_view bytes);

/// The table form, whatever the processor has; the oracle of the other.
std::uint32_t crc32c_portable(std::uint32_t crc, std::string_view bytes);

}  // namespace etcdpp::base

#include <etcdpp/base/crc32c.h>

#include <algorithm>
#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace etcdpp::base {

namespace {

// Slicing by eight: table k gives the effect of a byte that k more bytes follow.
using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Tables make_tables() {
  Tables t{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = (c & 1) ? (c >> 1) ^ 0x82f63b78u : c >> 1;
    t[0][i] = c;
  }
  for (std::uint32_t i = 0; i < 256; ++i)
    for (std::size_t k = 1; k < 8; ++k) t[k][i] = (t[k - 1][i] >> 8) ^ t[0][t[k - 1][i] & 0xff];
  return t;
}
constexpr Tables kTables = make_tables();

#if defined(__x86_64__)
constexpr std::size_t kMostLaneWords = 128;
// Below this joining the lanes costs more than they save.
constexpr std::size_t kLeastLaneWords = 6;

// Entry n takes a checksum over 8·n more bytes: x^(64·n − 33) modulo the polynomial, bits reversed. The product of two
// reversed numbers has one factor x too many, and the instruction that reduces it brings x^32.
using Shifts = std::array<std::uint32_t, 2 * kMostLaneWords + 1>;
constexpr Shifts make_shifts() {
  Shifts shifts{};
  std::uint32_t power = 1;  // x^31
  for (std::size_t n = 1; n < shifts.size(); ++n) {
    shifts[n] = power;
    for (int i = 0; i < 64; ++i) power = (power & 1) ? (power >> 1) ^ 0x82f63b78u : power >> 1;
  }
  return shifts;
}
constexpr Shifts kShifts = make_shifts();

std::uint64_t word_at(const char* p) {
  std::uint64_t word;
  std::memcpy(&word, p, 8);
  return word;
}

__attribute__((target("sse4.2"))) std::uint64_t crc32c_tail(std::uint64_t c, const char* p, std::size_t n) {
  for (; n >= 8; n -= 8, p += 8) c = __builtin_ia32_crc32di(c, word_at(p));
  auto c32 = static_cast<std::uint32_t>(c);
  for (; n > 0; --n, ++p) c32 = __builtin_ia32_crc32qi(c32, static_cast<unsigned char>(*p));
  return c32;
}

// The instruction takes one word a cycle, but three until its result is there: three lanes at once keep it busy.
__attribute__((target("sse4.2,pclmul"))) std::uint64_t crc32c_lanes(std::uint64_t a, const char*& p, std::size_t& n) {
  while (n >= 3 * 8 * kLeastLaneWords) {
    const std::size_t words = std::min(n / 24, kMostLaneWords);
    const char *second = p + 8 * words, *third = second + 8 * words;
    std::uint64_t b = 0, c = 0;
    for (std::size_t i = 0; i < 8 * words; i += 8) {
      a = __builtin_ia32_crc32di(a, word_at(p + i));
      b = __builtin_ia32_crc32di(b, word_at(second + i));
      c = __builtin_ia32_crc32di(c, word_at(third + i));
    }
    const auto moved = [](std::uint64_t crc, std::size_t by) __attribute__((target("sse4.2,pclmul"))) {
      return _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<long long>(crc)), _mm_cvtsi64_si128(kShifts[by]), 0);
    };
    const __m128i front = _mm_xor_si128(moved(a, 2 * words), moved(b, words));
    a = c ^ __builtin_ia32_crc32di(0, static_cast<std::uint64_t>(_mm_cvtsi128_si64(front)));
    p += 24 * words;
    n -= 24 * words;
  }
  return a;
}

std::uint32_t crc32c_by_instruction(std::uint32_t crc, std::string_view bytes, bool lanes) {
  const char* p = bytes.data();
  std::size_t n = bytes.size();
  std::uint64_t c = ~crc;
  if (lanes && n >= 3 * 8 * kLeastLaneWords) c = crc32c_lanes(c, p, n);
  return ~static_cast<std::uint32_t>(crc32c_tail(c, p, n));
}
#endif

}  // namespace

std::uint32_t crc32c_portable(std::uint32_t crc, std::string_view bytes) {
  const unsigned char* p = reinterpret_cast<const unsigned char*>(bytes.data());
  std::size_t n = bytes.size();
  std::uint32_t c = ~crc;
  for (; n >= 8; n -= 8, p += 8) {
    const std::uint32_t low = c ^ (std::uint32_t{p[0]} | std::uint32_t{p[1]} << 8 | std::uint32_t{p[2]} << 16 | std::uint32_t{p[3]} << 24);
    c = kTables[7][low & 0xff] ^ kTables[6][(low >> 8) & 0xff] ^ kTables[5][(low >> 16) & 0xff] ^ kTables[4][low >> 24] ^
        kTables[3][p[4]] ^ kTables[2][p[5]] ^ kTables[1][p[6]] ^ kTables[0][p[7]];
  }
  for (; n > 0; --n, ++p) c = (c >> 8) ^ kTables[0][(c ^ *p) & 0xff];
  return ~c;
}

std::uint32_t crc32c(std::uint32_t crc, std::string_view bytes) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  static const bool has_lanes = has_instruction && __builtin_cpu_supports("pclmul");
  if (has_instruction) return crc32c_by_instruction(crc, bytes, has_lanes);
#endif
  return crc32c_portable(crc, bytes);
}

}  // namespace etcdpp::base

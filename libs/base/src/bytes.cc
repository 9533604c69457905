#include <etcdpp/base/bytes.h>

namespace etcdpp::base {

namespace {
constexpr char kDigits[] = "0123456789abcdef";
}

std::string hex(BytesView bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (unsigned char c : bytes) {
    out += kDigits[c >> 4];
    out += kDigits[c & 15];
  }
  return out;
}

std::string hex(std::uint64_t id) {
  char buffer[16];
  int at = 16;
  do {
    buffer[--at] = kDigits[id & 15];
    id >>= 4;
  } while (id != 0);
  return {buffer + at, static_cast<std::size_t>(16 - at)};
}

std::string printable(BytesView bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (unsigned char c : bytes) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c >= 0x20 && c < 0x7f) {
      out += static_cast<char>(c);
    } else {
      out += "\\x";
      out += kDigits[c >> 4];
      out += kDigits[c & 15];
    }
  }
  return out;
}

}  // namespace etcdpp::base

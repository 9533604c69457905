#include "interceptors.h"

#include <cstdint>

#include "../errc.h"
#include "status_map.h"

namespace etcdpp::server {

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    const unsigned char lead = byte(i);
    std::size_t length = 1;
    std::uint32_t point = lead;
    if (lead >= 0x80) {
      if (lead >= 0xc2 && lead <= 0xdf) length = 2, point = lead & 0x1f;
      else if (lead >= 0xe0 && lead <= 0xef) length = 3, point = lead & 0x0f;
      else if (lead >= 0xf0 && lead <= 0xf4) length = 4, point = lead & 0x07;
      else return false;
      if (i + length > text.size()) return false;
      for (std::size_t k = 1; k < length; ++k) {
        if ((byte(i + k) & 0xc0) != 0x80) return false;
        point = point << 6 | (byte(i + k) & 0x3f);
      }
      if ((length == 3 && point < 0x800) || (length == 4 && (point < 0x10000 || point > 0x10ffff)) ||
          (point >= 0xd800 && point <= 0xdfff))
        return false;
    }
    i += length;
  }
  return true;
}

void add_interceptors(net::GrpcServer& server, const Member& member, ClientVersions& versions) {
  server.add_interceptor([&versions](net::GrpcCall& call) -> net::Status {
    const std::string_view version = call.metadata("client-api-version");
    if (!version.empty() && !is_utf8(version)) return status_of(base::Error(Errc::kInvalidClientApiVersion));
    versions.count(version, call.method().kind != net::MethodKind::kUnary);
    return {};
  });
  server.add_interceptor([&member](net::GrpcCall& call) -> net::Status {
    if (!member.state().has_leader() && call.metadata("hasleader") == "true") return status_of(base::Error(Errc::kNoLeader));
    return {};
  });
}

}  // namespace etcdpp::server

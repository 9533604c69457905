#include "gzip.h"

#include <zlib.h>

#include <algorithm>

#include <etcdpp/base/assert.h>

namespace etcdpp::net {
namespace {

constexpr int kGzipWindow = 15 + 16;  // zlib: the largest window, with gzip's frame

}  // namespace

Gunzip gunzip(std::string_view compressed, std::size_t limit, std::string& out) {
  z_stream stream{};
  if (inflateInit2(&stream, kGzipWindow) != Z_OK) return Gunzip::kMalformed;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
  stream.avail_in = static_cast<uInt>(compressed.size());
  out.clear();
  Gunzip result = Gunzip::kMalformed;
  std::size_t made = 0;
  for (;;) {
    if (made == out.size()) out.resize(std::min(limit + 1, std::max<std::size_t>({made * 2, compressed.size() * 2, 1024})));
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + made);
    stream.avail_out = static_cast<uInt>(out.size() - made);
    const int state = inflate(&stream, Z_NO_FLUSH);
    made = out.size() - stream.avail_out;
    if (made > limit) {
      result = Gunzip::kTooLarge;
      break;
    }
    if (state == Z_STREAM_END) {
      // Members may follow one another (RFC 1952, 2.2).
      if (stream.avail_in == 0) {
        result = Gunzip::kOk;
        break;
      }
      if (inflateReset(&stream) != Z_OK) break;
      continue;
    }
    if (state != Z_OK || (stream.avail_in == 0 && stream.avail_out != 0)) break;
  }
  inflateEnd(&stream);
  out.resize(result == Gunzip::kOk ? made : 0);
  return result;
}

std::string gzip(std::string_view bytes) {
  z_stream stream{};
  const int ready = deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY);
  ETCDPP_ASSERT(ready == Z_OK, "zlib cannot compress");
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int state = deflate(&stream, Z_FINISH);
  ETCDPP_ASSERT(state == Z_STREAM_END, "deflateBound was too small");
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace etcdpp::net

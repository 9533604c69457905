#pragma once

#include <cstddef>
#include <memory>

namespace etcdpp::net {

enum class IoState { kOk, kWouldBlock, kClosed };
struct IoResult {
  IoState state;
  std::size_t bytes = 0;
};

/// A connected, non-blocking byte stream over a file descriptor: the seam between sockets and what speaks on them. Plain
/// here; TLS is another one.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  virtual int fd() const = 0;
  /// kClosed: end of stream or a broken connection.
  virtual IoResult read(char* out, std::size_t room) = 0;
  virtual IoResult write(const char* bytes, std::size_t size) = 0;
  /// Tells the peer that nothing more comes; reading goes on.
  virtual void shutdown_write() = 0;
};

/// Owns the socket.
std::unique_ptr<ByteStream> plain_stream(int fd);

}  // namespace etcdpp::net

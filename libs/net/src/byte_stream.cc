#include "byte_stream.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace etcdpp::net {
namespace {

class PlainStream final : public ByteStream {
 public:
  explicit PlainStream(int fd) : fd_(fd) {}
  ~PlainStream() override { ::close(fd_); }

  int fd() const override { return fd_; }

  IoResult read(char* out, std::size_t room) override {
    for (;;) {
      const ssize_t got = ::recv(fd_, out, room, 0);
      if (got > 0) return {IoState::kOk, static_cast<std::size_t>(got)};
      if (got == 0) return {IoState::kClosed};
      if (errno == EINTR) continue;
      return {errno == EAGAIN || errno == EWOULDBLOCK ? IoState::kWouldBlock : IoState::kClosed};
    }
  }

  IoResult write(const char* bytes, std::size_t size) override {
    for (;;) {
      const ssize_t put = ::send(fd_, bytes, size, MSG_NOSIGNAL);
      if (put >= 0) return {IoState::kOk, static_cast<std::size_t>(put)};
      if (errno == EINTR) continue;
      return {errno == EAGAIN || errno == EWOULDBLOCK ? IoState::kWouldBlock : IoState::kClosed};
    }
  }

  void shutdown_write() override { ::shutdown(fd_, SHUT_WR); }

 private:
  const int fd_;
};

}  // namespace

std::unique_ptr<ByteStream> plain_stream(int fd) { return std::make_unique<PlainStream>(fd); }

}  // namespace etcdpp::net

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct nghttp2_session;

namespace etcdpp::net {

/// A blocking socket of a test.
class TestSocket {
 public:
  explicit TestSocket(std::uint16_t port, int receive_buffer = 0);
  explicit TestSocket(const std::string& unix_path);
  TestSocket(TestSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~TestSocket();

  int fd() const { return fd_; }
  /// False once the peer has closed.
  bool send(std::string_view bytes);
  /// What arrives within `milliseconds`; empty: nothing, or the end (see ended()).
  std::string receive(int milliseconds);
  /// Everything until the peer closes, at most `milliseconds` (ten seconds by default).
  std::string receive_all(int milliseconds = 10'000);
  bool ended() const { return ended_; }
  void shutdown_write();

 private:
  int fd_ = -1;
  bool ended_ = false;
};

using TestHeaders = std::vector<std::pair<std::string, std::string>>;

/// What came back on one stream.
struct TestResponse {
  std::map<std::string, std::string> headers;   // also trailers-only answers
  std::map<std::string, std::string> trailers;
  std::string data;
  bool headers_done = false;
  bool closed = false;
  std::uint32_t error_code = 0;

  std::string grpc_status() const;
  std::string grpc_message() const;
  /// The messages in `data`.
  std::vector<std::string> messages() const;
};

/// The client's end of HTTP/2 for tests, by nghttp2's client: what it may not say is said with TestSocket.
class TestClient {
 public:
  /// Windows as the client announces them (0: the default, 65535).
  explicit TestClient(std::uint16_t port, std::uint32_t stream_window = 0, bool auto_window = true);
  explicit TestClient(TestSocket socket);
  ~TestClient();

  /// Opens a stream; `body` is sent as it is (see grpc_frame). With `end` false, send_data goes on.
  std::int32_t request(const std::string& path, const std::string& body, const TestHeaders& extra = {}, bool end = true);
  std::int32_t request_as(const TestHeaders& headers, const std::string& body, bool end = true);
  void send_data(std::int32_t stream, const std::string& bytes, bool end);
  void cancel(std::int32_t stream);
  void ping();
  /// While corked, frames gather; uncorking sends them all at once.
  void cork(bool corked);
  /// Opens the stream's and the connection's window by that much (auto_window off).
  void open_window(std::int32_t stream, std::uint32_t bytes);

  TestResponse& response(std::int32_t stream) { return responses_[stream]; }
  /// Sends and receives until `done` or for `milliseconds`; false if not done.
  bool run(const std::function<bool()>& done, int milliseconds = 10'000);
  /// Until the stream is closed.
  TestResponse& wait(std::int32_t stream, int milliseconds = 10'000);
  /// One whole call.
  TestResponse& call(const std::string& path, const std::string& message, const TestHeaders& extra = {});

  bool disconnected() const { return disconnected_; }
  bool goaway() const { return goaway_; }
  std::uint32_t goaway_code() const { return goaway_code_; }
  const std::string& goaway_text() const { return goaway_text_; }
  unsigned ping_answers() const { return ping_answers_; }
  unsigned pings_received() const { return pings_received_; }
  TestSocket& socket() { return socket_; }

 private:
  friend struct TestClientCallbacks;
  void start(std::uint32_t stream_window, bool auto_window);
  void flush();

  TestSocket socket_;
  nghttp2_session* session_ = nullptr;
  std::map<std::int32_t, TestResponse> responses_;
  struct Upload {
    std::string bytes;
    std::size_t sent = 0;
    bool end = false;
  };
  std::map<std::int32_t, Upload> uploads_;
  bool corked_ = false;
  bool disconnected_ = false;
  bool goaway_ = false;
  std::uint32_t goaway_code_ = 0;
  std::string goaway_text_;
  unsigned ping_answers_ = 0;
  unsigned pings_received_ = 0;
};

/// A message with gRPC's five bytes in front.
std::string grpc_frame(std::string_view message, bool compressed = false);

/// An HTTP/2 frame, raw.
std::string http2_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload);
/// Preface and empty SETTINGS.
std::string http2_hello();
/// Takes raw frames apart; stops at a torn one.
struct RawFrame {
  std::uint8_t type, flags;
  std::uint32_t stream;
  std::string payload;
};
std::vector<RawFrame> split_frames(std::string_view bytes);

}  // namespace etcdpp::net

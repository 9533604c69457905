#include "test_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <thread>

#include <doctest/doctest.h>

#include "test_server.h"

namespace etcdpp::net {

using Clock = std::chrono::steady_clock;

bool eventually(const std::function<bool()>& what) {
  const auto end = Clock::now() + std::chrono::seconds(10);
  while (!what()) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

TestSocket::TestSocket(std::uint16_t port, int receive_buffer) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receive_buffer > 0) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
}

TestSocket::TestSocket(const std::string& unix_path) {
  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, unix_path.c_str(), unix_path.size() + 1);
  REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
}

TestSocket::~TestSocket() {
  if (fd_ >= 0) ::close(fd_);
}

bool TestSocket::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::string TestSocket::receive(int milliseconds) {
  pollfd waiting{fd_, POLLIN, 0};
  if (::poll(&waiting, 1, milliseconds) <= 0) return {};
  std::string out(64 * 1024, '\0');
  const ssize_t n = ::recv(fd_, out.data(), out.size(), 0);
  if (n <= 0) ended_ = true;
  out.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return out;
}

std::string TestSocket::receive_all(int milliseconds) {
  const auto end = Clock::now() + std::chrono::milliseconds(milliseconds);
  std::string out;
  while (!ended_ && Clock::now() < end) out += receive(100);
  return out;
}

void TestSocket::shutdown_write() { ::shutdown(fd_, SHUT_WR); }

std::string TestResponse::grpc_status() const {
  if (const auto found = trailers.find("grpc-status"); found != trailers.end()) return found->second;
  const auto found = headers.find("grpc-status");
  return found == headers.end() ? "none" : found->second;
}

std::string TestResponse::grpc_message() const {
  if (const auto found = trailers.find("grpc-message"); found != trailers.end()) return found->second;
  const auto found = headers.find("grpc-message");
  return found == headers.end() ? "" : found->second;
}

std::vector<std::string> TestResponse::messages() const {
  std::vector<std::string> out;
  std::string_view rest = data;
  while (rest.size() >= 5) {
    std::size_t size = 0;
    for (std::size_t i = 1; i < 5; ++i) size = size << 8 | static_cast<unsigned char>(rest[i]);
    if (rest.size() < 5 + size) break;
    out.emplace_back(rest.substr(5, size));
    rest.remove_prefix(5 + size);
  }
  return out;
}

struct TestClientCallbacks {
  static TestClient& self(void* user) { return *static_cast<TestClient*>(user); }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                       const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
    TestResponse& response = self(user).responses_[frame->hd.stream_id];
    auto& to = response.headers_done ? response.trailers : response.headers;
    to[std::string(reinterpret_cast<const char*>(name), name_size)] = std::string(reinterpret_cast<const char*>(value), value_size);
    return 0;
  }
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    TestClient& client = self(user);
    if (frame->hd.type == NGHTTP2_HEADERS) client.responses_[frame->hd.stream_id].headers_done = true;
    if (frame->hd.type == NGHTTP2_PING) ++((frame->hd.flags & NGHTTP2_FLAG_ACK) ? client.ping_answers_ : client.pings_received_);
    if (frame->hd.type == NGHTTP2_GOAWAY) {
      client.goaway_ = true;
      client.goaway_code_ = frame->goaway.error_code;
      client.goaway_text_.assign(reinterpret_cast<const char*>(frame->goaway.opaque_data), frame->goaway.opaque_data_len);
    }
    return 0;
  }
  static int on_data(nghttp2_session*, std::uint8_t, std::int32_t stream, const std::uint8_t* data, std::size_t size, void* user) {
    self(user).responses_[stream].data.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }
  static int on_close(nghttp2_session*, std::int32_t stream, std::uint32_t code, void* user) {
    TestResponse& response = self(user).responses_[stream];
    response.closed = true;
    response.error_code = code;
    return 0;
  }
  static ssize_t read(nghttp2_session*, std::int32_t stream, std::uint8_t* out, std::size_t room, std::uint32_t* flags,
                      nghttp2_data_source*, void* user) {
    TestClient::Upload& upload = self(user).uploads_[stream];
    const std::size_t n = std::min(room, upload.bytes.size() - upload.sent);
    std::memcpy(out, upload.bytes.data() + upload.sent, n);
    upload.sent += n;
    if (upload.sent == upload.bytes.size()) {
      if (upload.end) *flags |= NGHTTP2_DATA_FLAG_EOF;
      else if (n == 0) return NGHTTP2_ERR_DEFERRED;
    }
    return static_cast<ssize_t>(n);
  }
};

TestClient::TestClient(std::uint16_t port, std::uint32_t stream_window, bool auto_window) : socket_(port) {
  start(stream_window, auto_window);
}

TestClient::TestClient(TestSocket socket) : socket_(std::move(socket)) { start(0, true); }

void TestClient::start(std::uint32_t stream_window, bool auto_window) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, TestClientCallbacks::on_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, TestClientCallbacks::on_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, TestClientCallbacks::on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, TestClientCallbacks::on_close);
  nghttp2_option* option = nullptr;
  nghttp2_option_new(&option);
  nghttp2_option_set_no_auto_window_update(option, auto_window ? 0 : 1);
  nghttp2_session_client_new2(&session_, callbacks, this, option);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  std::vector<nghttp2_settings_entry> settings;
  if (stream_window > 0) settings.push_back({NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, stream_window});
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
}

TestClient::~TestClient() { nghttp2_session_del(session_); }

std::int32_t TestClient::request_as(const TestHeaders& headers, const std::string& body, bool end) {
  std::vector<nghttp2_nv> fields;
  for (const auto& [name, value] : headers) {
    fields.push_back({reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                      reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  nghttp2_data_provider provider{};
  provider.read_callback = TestClientCallbacks::read;
  const bool no_body = body.empty() && end;
  const std::int32_t stream = nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(), no_body ? nullptr : &provider, nullptr);
  uploads_[stream] = {body, 0, end};
  responses_[stream];
  flush();
  return stream;
}

std::int32_t TestClient::request(const std::string& path, const std::string& body, const TestHeaders& extra, bool end) {
  TestHeaders headers = {{":method", "POST"}, {":scheme", "http"}, {":path", path}, {":authority", "test"}, {"content-type", "application/grpc"}, {"te", "trailers"}};
  headers.insert(headers.end(), extra.begin(), extra.end());
  return request_as(headers, body, end);
}

void TestClient::send_data(std::int32_t stream, const std::string& bytes, bool end) {
  Upload& upload = uploads_[stream];
  upload.bytes.erase(0, upload.sent);
  upload.sent = 0;
  upload.bytes += bytes;
  upload.end = end;
  nghttp2_session_resume_data(session_, stream);
  flush();
}

void TestClient::cancel(std::int32_t stream) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
  flush();
}

void TestClient::ping() {
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
  flush();
}

void TestClient::open_window(std::int32_t stream, std::uint32_t bytes) {
  nghttp2_session_consume(session_, stream, bytes);
  nghttp2_submit_window_update(session_, NGHTTP2_FLAG_NONE, stream, static_cast<std::int32_t>(bytes));
  nghttp2_submit_window_update(session_, NGHTTP2_FLAG_NONE, 0, static_cast<std::int32_t>(bytes));
  flush();
}

void TestClient::cork(bool corked) {
  corked_ = corked;
  flush();
}

void TestClient::flush() {
  if (corked_) return;
  std::string out;
  const std::uint8_t* bytes = nullptr;
  for (ssize_t size; (size = nghttp2_session_mem_send(session_, &bytes)) > 0;)
    out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  if (!out.empty() && !socket_.send(out)) disconnected_ = true;
}

bool TestClient::run(const std::function<bool()>& done, int milliseconds) {
  const auto end = Clock::now() + std::chrono::milliseconds(milliseconds);
  flush();
  while (!done()) {
    if (disconnected_ || Clock::now() >= end) return done();
    const std::string bytes = socket_.receive(20);
    if (bytes.empty()) {
      if (socket_.ended()) disconnected_ = true;
      continue;
    }
    if (nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()) < 0) disconnected_ = true;
    flush();
  }
  return true;
}

TestResponse& TestClient::wait(std::int32_t stream, int milliseconds) {
  run([&] { return responses_[stream].closed; }, milliseconds);
  return responses_[stream];
}

TestResponse& TestClient::call(const std::string& path, const std::string& message, const TestHeaders& extra) {
  return wait(request(path, grpc_frame(message), extra));
}

std::string grpc_frame(std::string_view message, bool compressed) {
  std::string out(1, compressed ? '\1' : '\0');
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(message.size() >> shift & 0xff));
  return out.append(message);
}

std::string http2_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
  std::string out;
  for (int shift = 16; shift >= 0; shift -= 8) out.push_back(static_cast<char>(payload.size() >> shift & 0xff));
  out.push_back(static_cast<char>(type));
  out.push_back(static_cast<char>(flags));
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(stream >> shift & 0xff));
  return out.append(payload);
}

std::string http2_hello() { return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + http2_frame(4, 0, 0, {}); }

std::vector<RawFrame> split_frames(std::string_view bytes) {
  std::vector<RawFrame> out;
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])); };
  while (bytes.size() >= 9) {
    const std::size_t size = byte(0) << 16 | byte(1) << 8 | byte(2);
    if (bytes.size() < 9 + size) break;
    out.push_back({static_cast<std::uint8_t>(byte(3)), static_cast<std::uint8_t>(byte(4)),
                   (byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8)) & 0x7fffffff, std::string(bytes.substr(9, size))});
    bytes.remove_prefix(9 + size);
  }
  return out;
}

}  // namespace etcdpp::net

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/clock.h>
#include <etcdpp/base/result.h>
#include <etcdpp/net/executor.h>
#include <etcdpp/net/status.h>

namespace etcdpp::net {

struct GrpcMethod;
class CallRef;

/// Why a call is over before its handler finished it.
enum class CancelReason {
  kClientCancelled,   // RST_STREAM
  kDisconnected,      // the connection is gone
  kDeadlineExceeded,  // grpc-timeout has passed; the client has been told so
  kShutdown,          // the server stopped hard
  kBadMessage,        // a message was too large, cut short or malformed; the client has been told so
};

/// Makes the bytes of one large message piece by piece, as the client's flow-control window has room.
class MessageProducer {
 public:
  virtual ~MessageProducer() = default;
  /// Writes at most `room` bytes to `out` and returns how many. 0: nothing is ready, GrpcCall::resume_producer will
  /// say when (from then on it is asked again). An error resets the stream with INTERNAL_ERROR, since the announced
  /// length can no longer be kept. Called in the call's thread, in the write phase; must not call back into the call.
  virtual base::Result<std::size_t> produce(char* out, std::size_t room) = 0;
};

/// One gRPC call, server side: what the client sent along with it, and the way to answer.
///
/// Calls belong to their executor (the I/O thread of the connection): every function here is for that thread only.
/// To answer from elsewhere, move a CallRef along with the work and post a closure to executor(); one closure may answer
/// many calls, and all of them leave with one write per connection at the end of that turn.
///
/// A call that has been cancelled stays a valid object until the last CallRef is gone; what is sent to it then is
/// dropped. So a handler need not care about cancellation, but may (set_on_cancelled, cancelled()).
///
/// Order: any number of send_*, then one finish. Messages of a call keep their order. Initial headers go with the first
/// message; a finish with nothing sent before is a trailers-only answer.
///
/// Backed by an HTTP/2 stream in the daemon; abstract, so that a gateway or a test can bring its own.
class GrpcCall {
 public:
  // The request.

  virtual const GrpcMethod& method() const = 0;
  /// First value of a request header (lower-case key), as on the wire; a null view (data() == nullptr) if absent.
  virtual std::string_view metadata(std::string_view key) const = 0;
  virtual void visit_metadata(const std::function<void(std::string_view key, std::string_view value)>& visit) const = 0;
  /// A "-bin" header's first value with its base64 undone (padded or not); nullopt when absent or malformed.
  std::optional<std::string> binary_metadata(std::string_view key) const;
  /// "127.0.0.1:51234", "[::1]:51234", "@" on a unix socket. Valid while the call is.
  virtual std::string_view peer() const = 0;
  /// Where grpc-timeout puts the end.
  virtual std::optional<base::Instant> deadline() const = 0;
  virtual base::Instant started_at() const = 0;
  virtual Executor& executor() const = 0;

  // The answer.

  /// Sends one message.
  virtual void send_message(std::string message) = 0;
  /// Sends one message that is `head` and then the parts of `tail`, which may be shared with other calls: only
  /// referenced until they are framed.
  virtual void send_message(std::string head, std::vector<base::SharedBytes> tail) = 0;
  /// Sends one message of exactly `length` bytes (at most 2^32 - 1) that `producer` makes under flow control.
  virtual void send_large(std::uint64_t length, std::unique_ptr<MessageProducer> producer) = 0;
  /// A producer that had returned 0 has something again.
  virtual void resume_producer() = 0;
  /// Ends the call. The message is percent-encoded on the wire. Later calls of finish do nothing.
  virtual void finish(StatusCode code, std::string_view message = {}) = 0;
  void finish(const Status& status) { finish(status.code, status.message); }
  /// The whole answer of a unary call that succeeded.
  void reply(std::string message) {
    send_message(std::move(message));
    finish(StatusCode::kOk);
  }

  /// Nothing that is sent from now on reaches the client (cancelled, or finished).
  virtual bool done() const = 0;
  virtual bool cancelled() const = 0;
  /// `callback` runs once, in the call's thread, if the call is cancelled before it is finished; at once is never.
  virtual void set_on_cancelled(std::move_only_function<void(CancelReason)> callback) = 0;

  // Back-pressure.

  /// Bytes given to send_* that the client's windows and the socket have not yet taken.
  virtual std::size_t pending_send_bytes() const = 0;
  /// `callback` runs each time pending_send_bytes() falls from above `low_water` to it or below;
  /// not after finish.
  virtual void set_on_writable(std::size_t low_water, std::move_only_function<void()> callback) = 0;
  /// While receiving is paused no message of this call is delivered; its window closes, so the client stops sending.
  virtual void pause_receiving(bool paused) = 0;

  /// Another reference to this call, made in its thread.
  CallRef ref();

 protected:
  GrpcCall() = default;
  virtual ~GrpcCall() = default;
  /// The last reference is gone (in the call's thread). An unfinished call is to be answered UNAVAILABLE.
  virtual void on_unreferenced() = 0;
  bool referenced() const { return references_ != 0; }

 private:
  friend class CallRef;
  void release();
  std::uint32_t references_ = 0;  // the call's thread only
};

/// Keeps a call's object alive. Move it to any thread; let it go in any thread (the call's own is then asked to do it).
/// Use it, or make another by GrpcCall::ref, in the call's thread only. All must be gone before the I/O threads are destroyed.
class CallRef {
 public:
  CallRef() = default;
  explicit CallRef(GrpcCall& call) : call_(&call) { ++call.references_; }
  CallRef(CallRef&& other) noexcept : call_(std::exchange(other.call_, nullptr)) {}
  CallRef& operator=(CallRef&& other) noexcept {
    std::swap(call_, other.call_);
    return *this;
  }
  ~CallRef() { reset(); }
  void reset();

  explicit operator bool() const { return call_ != nullptr; }
  GrpcCall* operator->() const { return call_; }
  GrpcCall& operator*() const { return *call_; }

 private:
  GrpcCall* call_ = nullptr;
};

inline CallRef GrpcCall::ref() { return CallRef(*this); }

/// The server's end of a bidirectional stream, made per call by the method's factory. All functions run in the call's
/// thread; the object is destroyed there when the stream is over (finished or cancelled), after which only CallRefs
/// that it has handed out still reach the call.
class GrpcStream {
 public:
  virtual ~GrpcStream() = default;
  /// One whole message; the bytes are valid during the call.
  virtual void on_message(std::string_view message) = 0;
  /// The client sends no more. The call stays open until finish.
  virtual void on_half_close() {}
  /// The call is over although it was not finished. Destruction follows.
  virtual void on_cancelled(CancelReason) {}
};

/// Undoes base64 of a "-bin" header: standard alphabet, padding optional. False if malformed.
bool decode_binary_header(std::string_view text, std::string& out);
/// "10S", "250m" …: at most 8 digits and a unit. nullopt if malformed.
std::optional<base::Duration> parse_grpc_timeout(std::string_view text);
/// grpc-message: everything but printable ASCII, and '%', becomes %XX; invalid UTF-8 becomes U+FFFD, as Go does.
std::string percent_encode_message(std::string_view message);

}  // namespace etcdpp::net

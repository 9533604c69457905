#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <etcdpp/base/bytes.h>
#include <etcdpp/net/grpc_call.h>
#include <etcdpp/net/grpc_server.h>
#include <etcdpp/net/timer_wheel.h>

#include "receive_budget.h"

namespace etcdpp::net {

class Http2Session;
class ThreadState;

/// One message on its way out: the 5-byte prefix, then bytes that are owned, shared or made on demand.
struct OutMessage {
  char prefix[5] = {};
  std::uint8_t prefix_sent = 0;
  std::string head;
  std::size_t head_sent = 0;
  std::vector<base::SharedBytes> tail;
  std::size_t tail_index = 0;
  std::size_t tail_sent = 0;
  std::unique_ptr<MessageProducer> producer;
  std::uint64_t producer_left = 0;
};

/// A gRPC call on an HTTP/2 stream: puts incoming DATA together to messages, and cuts outgoing messages into DATA.
///
/// Lives in its thread's pool. It is attached while the stream exists and returns to the pool when it is detached and no
/// CallRef is left. Incoming messages that are whole in the read buffer are handed on from there, without a copy.
class Http2Call final : public GrpcCall, private Timer, private ReceiveGrant {
 public:
  explicit Http2Call(ThreadState& thread);
  ~Http2Call() override;

  // For the session.

  void attach(Http2Session& session, std::int32_t stream_id);
  /// The stream is gone. A call that was not finished is cancelled. May return the call to the pool.
  void detach(CancelReason reason);
  void add_header(std::string_view name, std::string_view value);
  void on_headers_complete();
  void on_data(const char* bytes, std::size_t size);
  void on_remote_end();
  /// The next bytes of the answer, at most `room`, for a DATA frame.
  struct Fill {
    std::size_t bytes = 0;
    bool end = false;       // that was the last: trailers follow
    bool waiting = false;   // nothing there now
    bool failed = false;    // the stream must be reset
  };
  Fill fill(char* out, std::size_t room);
  /// The connection is gone; a detached call may outlive it.
  void forget_session() { session_ = nullptr; }
  /// After fill, outside of nghttp2: tells those who waited for room.
  void after_fill();
  /// The server or the deadline ends the call: the client is told, the handler's callbacks run.
  void cancel_call(CancelReason reason);
  std::size_t header_bytes() const { return header_bytes_; }
  std::int32_t stream_id() const { return stream_id_; }
  bool remote_closed() const { return remote_closed_; }
  bool finished() const { return finish_requested_; }
  bool attached() const { return attached_; }
  const Status& status() const { return status_; }
  /// What the request's content-type had behind "application/grpc", to be given back.
  std::string_view content_subtype() const { return subtype_; }
  Http2Call* next_of_session = nullptr;  // Http2Session's list
  Http2Call* previous_of_session = nullptr;

  // GrpcCall.

  const GrpcMethod& method() const override { return *method_; }
  std::string_view metadata(std::string_view key) const override;
  void visit_metadata(const std::function<void(std::string_view, std::string_view)>& visit) const override;
  std::string_view peer() const override { return peer_; }
  std::optional<base::Instant> deadline() const override { return deadline_; }
  base::Instant started_at() const override { return started_at_; }
  Executor& executor() const override;
  void send_message(std::string message) override;
  void send_message(std::string head, std::vector<base::SharedBytes> tail) override;
  void send_large(std::uint64_t length, std::unique_ptr<MessageProducer> producer) override;
  void resume_producer() override;
  void finish(StatusCode code, std::string_view message) override;
  using GrpcCall::finish;
  bool done() const override { return finish_requested_ || !attached_; }
  bool cancelled() const override { return cancelled_; }
  void set_on_cancelled(std::move_only_function<void(CancelReason)> callback) override;
  std::size_t pending_send_bytes() const override { return pending_; }
  void set_on_writable(std::size_t low_water, std::move_only_function<void()> callback) override;
  void pause_receiving(bool paused) override;

 private:
  /// A bidirectional stream whose answers pile up above this is not read further until half of them are gone: a client
  /// that asks and never reads is held by its own window.
  static constexpr std::size_t kAnswersHoldRequests = 256 * 1024;

  struct Header {
    std::uint32_t name_at, name_size, value_at, value_size;
  };
  enum class Encoding : std::uint8_t { kIdentity, kGzip, kUnknown };

  void on_unreferenced() override;
  void on_timer() override;
  void on_granted() override;

  std::string_view slice(std::uint32_t at, std::uint32_t size) const { return std::string_view(header_text_).substr(at, size); }
  /// What is wrong with the request's header, and the HTTP status for it; OK if nothing.
  std::optional<std::pair<unsigned, Status>> judge_headers();
  void open_stream();
  bool receiving_paused() const;
  void resume_receiving();
  void feed(std::string_view bytes);
  /// True when the five bytes of the prefix are acceptable.
  bool begin_message();
  void hold_part(std::string_view bytes);
  void deliver(std::string_view message);
  void handle_end();
  void fail_receive(StatusCode code, std::string_view message);
  void give_window_back(std::size_t bytes);
  void enqueue(OutMessage message, std::uint64_t length, bool compressed);
  void end_call(StatusCode code, std::string_view message);
  void notify_cancelled(CancelReason reason);
  void end_stream_handler();
  void arm_timer();
  void settle_receive_budget();
  void return_if_unused();
  void reset_for_pool();

  ThreadState& thread_;
  Http2Session* session_ = nullptr;  // null once the connection is gone
  bool attached_ = false;            // the stream exists
  std::int32_t stream_id_ = 0;
  const GrpcMethod* method_ = nullptr;
  std::string peer_;
  base::Instant started_at_{};
  std::optional<base::Instant> deadline_;

  // Request header.
  std::string path_;
  std::string http_method_;
  std::string header_text_;
  std::vector<Header> headers_;
  std::size_t header_bytes_ = 0;
  std::string subtype_;
  Encoding encoding_ = Encoding::kIdentity;

  // Receiving.
  char prefix_[5];
  std::uint8_t prefix_have_ = 0;
  bool message_compressed_ = false;
  std::uint32_t message_size_ = 0;
  std::string part_;             // of a message that did not come whole
  std::string held_;             // raw bytes that came while receiving was paused; their window is not given back
  std::size_t window_owed_ = 0;  // taken in while waiting for the receive budget; given back with the grant
  base::Instant message_since_{};
  bool dispatched_ = false;
  bool discard_input_ = false;
  bool remote_closed_ = false;
  bool end_handled_ = false;
  bool receive_paused_ = false;

  // Sending.
  std::vector<OutMessage> out_;
  std::size_t out_next_ = 0;
  std::size_t pending_ = 0;
  std::size_t pending_at_timer_ = 0;
  bool headers_sent_ = false;
  bool data_waiting_ = false;  // nghttp2 has been told that there is nothing; wake it
  bool after_fill_queued_ = false;
  bool finish_requested_ = false;
  Status status_;

  bool cancelled_ = false;
  std::unique_ptr<GrpcStream> stream_;
  std::move_only_function<void(CancelReason)> on_cancelled_;
  std::move_only_function<void()> on_writable_;
  std::size_t low_water_ = 0;
  bool above_low_water_ = false;
};

}  // namespace etcdpp::net

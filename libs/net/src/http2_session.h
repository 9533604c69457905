#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <etcdpp/net/grpc_server.h>
#include <etcdpp/net/limits.h>

#include "http2_call.h"
#include "receive_budget.h"
#include "session.h"
#include "thread_state.h"
#include "token_bucket.h"

struct nghttp2_session;

namespace etcdpp::net {

/// The server's end of one HTTP/2 connection: nghttp2 with the limits that it leaves to its user (floods, header sizes,
/// header deadlines, gRPC's keep-alive policy, drain), and the connection's calls.
class Http2Session final : public Session {
 public:
  Http2Session(SessionHost& host, ThreadState& thread, const GrpcServer& server, const Limits& limits);
  ~Http2Session() override;

  void on_read(std::string_view bytes) override;
  void on_eof() override { fatal_ = true; }
  void fill(OutBuffer& out) override;
  void after_fill() override;
  bool wants_read() const override { return !fatal_; }
  bool over() const override;
  void drain() override;
  void abort(CancelReason reason) override;
  std::optional<base::Instant> check_time(base::Instant now) override;

  // For the calls.

  const GrpcServer& server() const { return server_; }
  const Limits& limits() const { return limits_; }
  ReceiveShare& receive_share() { return receive_share_; }
  base::Instant now() const { return host_.now(); }
  std::string_view peer() const { return host_.peer(); }
  /// HEADERS that end the stream: an answer without messages.
  void submit_trailers_only(Http2Call& call, unsigned http_status, const Status& status);
  /// HEADERS of an answer whose messages fill() of the call will give.
  void submit_response(Http2Call& call, bool gzip);
  void resume(Http2Call& call);
  void reset(Http2Call& call, std::uint32_t error_code);
  void consume(Http2Call& call, std::size_t bytes);
  void queue_after_fill(CallRef call) { after_fill_.push_back(std::move(call)); }
  void add_call(Http2Call& call);
  void remove_call(Http2Call& call);
  std::uint32_t open_calls() const { return open_calls_; }

 private:
  friend struct Http2Callbacks;

  /// Ends the connection with GOAWAY ENHANCE_YOUR_CALM.
  void calm_down(std::string_view why);
  bool count_control();
  bool count_reset();
  void on_ping();
  void finish_drain();

  SessionHost& host_;
  ThreadState& thread_;
  const GrpcServer& server_;
  const Limits& limits_;
  nghttp2_session* session_ = nullptr;
  OutBuffer* filling_ = nullptr;  // during fill
  bool fill_paused_ = false;
  std::string_view complaint_;    // why ENHANCE_YOUR_CALM; a literal
  std::string last_words_;        // frames written without nghttp2, after it has failed

  ReceiveShare receive_share_;
  Http2Call* calls_ = nullptr;    // all that are not in the pool, also detached ones whose handler still runs
  std::uint32_t open_calls_ = 0;
  std::uint32_t open_streams_ = 0;
  std::vector<CallRef> after_fill_;

  bool fatal_ = false;            // nghttp2 is not to be used any more
  bool closing_ = false;          // GOAWAY for good is queued: write it and close
  bool draining_ = false;
  bool drain_finished_ = false;
  bool aborted_ = false;
  base::Instant drain_at_{};

  TokenBucket resets_;
  TokenBucket control_;
  base::Instant header_block_since_{};  // an unfinished header block; zero: none

  // gRPC keep-alive: what the client may do, what we do.
  base::Instant last_client_ping_{};
  unsigned ping_strikes_ = 0;
  bool sent_since_ping_ = false;
  base::Instant last_read_{};
  base::Instant our_ping_at_{};         // waiting for its answer; zero: not
};

}  // namespace etcdpp::net

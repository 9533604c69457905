#include "http2_session.h"

#include <nghttp2/nghttp2.h>

#include <array>
#include <charconv>
#include <cstring>

#include <etcdpp/base/assert.h>

namespace etcdpp::net {
namespace {

constexpr base::Duration kHeaderBlockTimeout = std::chrono::seconds(10);
constexpr base::Duration kDrainNoticeTimeout = std::chrono::seconds(1);
/// A client without open streams that may not ping then is allowed one ping in that time (as grpc-go).
constexpr base::Duration kPingWithoutStreams = std::chrono::hours(2);
constexpr unsigned kMaxPingStrikes = 2;
constexpr std::array<std::uint8_t, 8> kDrainPing = {'d', 'r', 'a', 'i', 'n', 'i', 'n', 'g'};

nghttp2_nv header(std::string_view name, std::string_view value, std::uint8_t flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE) {
  return {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(), flags};
}

/// For values that nghttp2 must copy; those that differ from call to call stay out of the peer's table.
nghttp2_nv copied(std::string_view name, std::string_view value, bool index) {
  return header(name, value, static_cast<std::uint8_t>(NGHTTP2_NV_FLAG_NO_COPY_NAME | (index ? 0 : NGHTTP2_NV_FLAG_NO_INDEX)));
}

constexpr std::array<std::string_view, kStatusCodes> kCodeTexts = {"0", "1", "2",  "3",  "4",  "5",  "6",  "7", "8",
                                                                   "9", "10", "11", "12", "13", "14", "15", "16"};

/// grpc-status and, if there is one, grpc-message, into `to`; the encoded message lives in `encoded`.
std::size_t trailers(const Status& status, std::string& encoded, nghttp2_nv* to) {
  to[0] = header("grpc-status", kCodeTexts[static_cast<std::size_t>(status.code)]);
  if (status.message.empty()) return 1;
  encoded = percent_encode_message(status.message);
  to[1] = copied("grpc-message", encoded, false);
  return 2;
}

std::string goaway_frame(std::int32_t last_stream, std::uint32_t code, std::string_view why) {
  std::string frame(17, '\0');
  frame[2] = static_cast<char>(8 + why.size());
  frame[3] = 7;
  for (int i = 0; i < 4; ++i) {
    frame[static_cast<std::size_t>(9 + i)] = static_cast<char>(static_cast<std::uint32_t>(last_stream) >> (24 - 8 * i) & 0xff);
    frame[static_cast<std::size_t>(13 + i)] = static_cast<char>(code >> (24 - 8 * i) & 0xff);
  }
  return frame.append(why);
}

nghttp2_mem memory_of(BlockPool& blocks) {
  return {.mem_user_data = &blocks,
          .malloc = [](std::size_t bytes, void* pool) { return static_cast<BlockPool*>(pool)->allocate(bytes); },
          .free = [](void* block, void* pool) { static_cast<BlockPool*>(pool)->release(block); },
          .calloc = [](std::size_t count, std::size_t bytes, void* pool) { return static_cast<BlockPool*>(pool)->allocate_zeros(count, bytes); },
          .realloc = [](void* block, std::size_t bytes, void* pool) { return static_cast<BlockPool*>(pool)->reallocate(block, bytes); }};
}

}  // namespace

/// nghttp2's calls into a session.
struct Http2Callbacks {
  static Http2Session& self(void* user) { return *static_cast<Http2Session*>(user); }
  static Http2Call* call_of(nghttp2_session* session, std::int32_t stream) {
    return static_cast<Http2Call*>(nghttp2_session_get_stream_user_data(session, stream));
  }

  static int on_begin_frame(nghttp2_session*, const nghttp2_frame_hd* hd, void* user) {
    Http2Session& s = self(user);
    switch (hd->type) {
      case NGHTTP2_DATA:
        if (hd->length == 0 && (hd->flags & NGHTTP2_FLAG_END_STREAM) == 0) s.count_control();
        break;
      case NGHTTP2_HEADERS:
      case NGHTTP2_WINDOW_UPDATE:
      case NGHTTP2_RST_STREAM:
      case NGHTTP2_GOAWAY:
      case NGHTTP2_CONTINUATION: break;
      case NGHTTP2_PING:
        // grpc-go measures its bandwidth with a PING for the data that it gets, thousands a second on a quick network.
        if ((hd->flags & NGHTTP2_FLAG_ACK) != 0 || !s.sent_since_ping_) s.count_control();
        break;
      default: s.count_control();
    }
    return 0;
  }

  static int on_begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    Http2Session& s = self(user);
    s.header_block_since_ = s.now();
    s.host_.check_at(s.header_block_since_ + kHeaderBlockTimeout);
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    ++s.open_streams_;
    const std::int32_t stream = frame->hd.stream_id;
    if (s.closing_ || s.open_calls_ >= s.limits_.max_calls_per_connection || s.thread_.open_calls() >= s.limits_.max_calls_per_thread) {
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_REFUSED_STREAM);
      return 0;
    }
    Http2Call& call = s.thread_.new_call();
    call.attach(s, stream);
    nghttp2_session_set_stream_user_data(session, stream, &call);
    return 0;
  }

  static int on_header(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                       const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;  // a client's trailers mean nothing in gRPC
    Http2Call* call = call_of(session, frame->hd.stream_id);
    if (call == nullptr) return 0;
    call->add_header({reinterpret_cast<const char*>(name), name_size}, {reinterpret_cast<const char*>(value), value_size});
    // Past the limit it is only counted; somebody who blows up small frames to that much gets no more of our time.
    Http2Session& s = self(user);
    if (call->header_bytes() > 8 * s.limits_.max_header_list) {
      s.last_words_ = goaway_frame(nghttp2_session_get_last_proc_stream_id(session), NGHTTP2_ENHANCE_YOUR_CALM, "header_list_too_large");
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    return 0;
  }

  static int on_frame_recv(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    Http2Session& s = self(user);
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS: {
        s.header_block_since_ = {};
        Http2Call* call = call_of(session, frame->hd.stream_id);
        if (call == nullptr) break;
        const bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) call->on_headers_complete();
        if (end) call->on_remote_end();
        break;
      }
      case NGHTTP2_DATA:
        if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
          if (Http2Call* call = call_of(session, frame->hd.stream_id)) call->on_remote_end();
        }
        break;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) {
          s.on_ping();
        } else if (s.draining_ && std::memcmp(frame->ping.opaque_data, kDrainPing.data(), kDrainPing.size()) == 0) {
          s.finish_drain();
        }
        break;
      case NGHTTP2_RST_STREAM: s.count_reset(); break;
      default: break;
    }
    return 0;
  }

  static int on_data_chunk(nghttp2_session* session, std::uint8_t, std::int32_t stream, const std::uint8_t* data, std::size_t size,
                           void*) {
    nghttp2_session_consume_connection(session, size);
    if (Http2Call* call = call_of(session, stream)) {
      call->on_data(reinterpret_cast<const char*>(data), size);
    } else {
      nghttp2_session_consume_stream(session, stream, size);
    }
    return 0;
  }

  static int on_stream_close(nghttp2_session* session, std::int32_t stream, std::uint32_t, void* user) {
    --self(user).open_streams_;
    if (Http2Call* call = call_of(session, stream)) {
      nghttp2_session_set_stream_user_data(session, stream, nullptr);
      call->detach(CancelReason::kClientCancelled);
    }
    return 0;
  }

  static int on_frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    Http2Session& s = self(user);
    switch (frame->hd.type) {
      case NGHTTP2_DATA: s.sent_since_ping_ = true; break;
      case NGHTTP2_HEADERS:
        s.sent_since_ping_ = true;
        if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
          // The answer is complete although the client still sends: it need not.
          const Http2Call* call = call_of(session, frame->hd.stream_id);
          if (call != nullptr && !call->remote_closed()) {
            nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
          }
        }
        break;
      case NGHTTP2_RST_STREAM:
        // Streams that the client makes us reset cost as much as those that it resets.
        if (frame->rst_stream.error_code != NGHTTP2_NO_ERROR && frame->rst_stream.error_code != NGHTTP2_CANCEL) s.count_reset();
        break;
      default: break;
    }
    return 0;
  }

  static ssize_t read_data(nghttp2_session* session, std::int32_t stream, std::uint8_t*, std::size_t room, std::uint32_t* flags,
                           nghttp2_data_source* source, void* user) {
    Http2Session& s = self(user);
    auto& call = *static_cast<Http2Call*>(source->ptr);
    // Straight into the output, behind the room of the frame's header, which send_data writes next.
    const Http2Call::Fill filled = call.fill(s.filling_->reserve(kFrameHeader + room) + kFrameHeader, room);
    if (filled.failed) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (filled.waiting) return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (filled.end) {
      *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
      std::string encoded;
      nghttp2_nv fields[2];
      const std::size_t count = trailers(call.status(), encoded, fields);
      if (nghttp2_submit_trailer(session, stream, fields, count) != 0) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return static_cast<ssize_t>(filled.bytes);
  }

  static int send_data(nghttp2_session*, nghttp2_frame*, const std::uint8_t* frame_header, std::size_t size, nghttp2_data_source*,
                       void* user) {
    Http2Session& s = self(user);
    std::memcpy(s.filling_->reserve(kFrameHeader + size), frame_header, kFrameHeader);
    s.filling_->commit(kFrameHeader + size);
    if (!s.filling_->full()) return 0;
    s.fill_paused_ = true;
    return NGHTTP2_ERR_PAUSE;
  }

  static constexpr std::size_t kFrameHeader = 9;

  static nghttp2_session_callbacks* make() {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
    return callbacks;
  }
};

Http2Session::Http2Session(SessionHost& host, ThreadState& thread, const GrpcServer& server, const Limits& limits)
    : host_(host), thread_(thread), server_(server), limits_(limits),
      receive_share_(thread.receive_budget(limits), limits.receive_budget_per_connection),
      resets_(limits.reset_burst, limits.resets_per_second), control_(limits.control_burst, limits.control_per_second),
      last_read_(host.now()) {
  static nghttp2_session_callbacks* const callbacks = Http2Callbacks::make();
  nghttp2_option* option = nullptr;
  nghttp2_option_new(&option);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
#ifdef ETCDPP_NGHTTP2_RESET_RATE
  // Ours decides, and knows also the streams that we reset.
  nghttp2_option_set_stream_reset_rate_limit(option, std::uint64_t{limits.reset_burst} * 2, std::uint64_t{limits.resets_per_second} * 2);
#endif
  nghttp2_mem memory = memory_of(thread.blocks());
  const int made = nghttp2_session_server_new3(&session_, callbacks, this, option, &memory);
  nghttp2_option_del(option);
  ETCDPP_ASSERT(made == 0, "nghttp2 could not make a session");

  std::vector<nghttp2_settings_entry> settings;
  if (limits.max_concurrent_streams != 0xffffffffu) settings.push_back({NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.max_concurrent_streams});
  if (limits.stream_window != 65535) settings.push_back({NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits.stream_window});
  settings.push_back({NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(limits.max_header_list)});
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, static_cast<std::int32_t>(limits.connection_window));
  host_.check_at(last_read_ + limits.keepalive_interval);
}

Http2Session::~Http2Session() {
  abort(CancelReason::kDisconnected);
  after_fill_.clear();
  for (Http2Call* call = calls_; call != nullptr;) {
    Http2Call* next = call->next_of_session;
    call->forget_session();
    call = next;
  }
  nghttp2_session_del(session_);
}

void Http2Session::add_call(Http2Call& call) {
  ++open_calls_;
  call.previous_of_session = nullptr;
  call.next_of_session = calls_;
  if (calls_ != nullptr) calls_->previous_of_session = &call;
  calls_ = &call;
}

void Http2Session::remove_call(Http2Call& call) {
  --open_calls_;
  (call.previous_of_session != nullptr ? call.previous_of_session->next_of_session : calls_) = call.next_of_session;
  if (call.next_of_session != nullptr) call.next_of_session->previous_of_session = call.previous_of_session;
}

// In.

void Http2Session::on_read(std::string_view bytes) {
  if (fatal_ || closing_) return;
  last_read_ = host_.now();
  const ssize_t taken = nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  if (taken >= 0) return;
  fatal_ = true;
  if (last_words_.empty()) {
    const bool flood = taken == NGHTTP2_ERR_FLOODED || closing_;
    last_words_ = goaway_frame(nghttp2_session_get_last_proc_stream_id(session_), flood ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR, complaint_);
  }
}

void Http2Session::consume(Http2Call& call, std::size_t bytes) {
  if (fatal_ || bytes == 0) return;
  nghttp2_session_consume_stream(session_, call.stream_id(), bytes);
  host_.mark_dirty();
}

bool Http2Session::count_control() {
  if (control_.take(now())) return true;
  calm_down("too_many_control_frames");
  return false;
}

bool Http2Session::count_reset() {
  if (resets_.take(now())) return true;
  calm_down("too_many_resets");
  return false;
}

void Http2Session::on_ping() {
  const base::Instant at = now();
  const base::Instant last = std::exchange(last_client_ping_, at);
  if (std::exchange(sent_since_ping_, false)) {
    ping_strikes_ = 0;
    return;
  }
  if (last == base::Instant()) return;
  const base::Duration apart = open_streams_ == 0 && !limits_.keepalive_without_stream ? kPingWithoutStreams : limits_.keepalive_min_time;
  if (at - last < apart && ++ping_strikes_ > kMaxPingStrikes) calm_down("too_many_pings");
}

void Http2Session::calm_down(std::string_view why) {
  if (std::exchange(closing_, true)) return;
  complaint_ = why;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_ENHANCE_YOUR_CALM,
                        reinterpret_cast<const std::uint8_t*>(why.data()), why.size());
  host_.mark_dirty();
}

// Out.

void Http2Session::fill(OutBuffer& out) {
  if (!fatal_) {
    filling_ = &out;
    while (!out.full()) {
      fill_paused_ = false;
      const std::uint8_t* bytes = nullptr;
      const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
      if (size < 0) {
        fatal_ = true;
        break;
      }
      if (size == 0 && !fill_paused_) break;
      if (size > 0) out.append({reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)});
    }
    filling_ = nullptr;
  }
  if (fatal_) out.append(std::exchange(last_words_, {}));
}

void Http2Session::after_fill() {
  if (after_fill_.empty()) return;
  std::vector<CallRef> calls = std::exchange(after_fill_, {});
  for (CallRef& call : calls) static_cast<Http2Call&>(*call).after_fill();
}

bool Http2Session::over() const {
  if (fatal_ || closing_ || (drain_finished_ && open_streams_ == 0)) return true;
  return nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
}

void Http2Session::submit_trailers_only(Http2Call& call, unsigned http_status, const Status& status) {
  if (fatal_) return;
  std::array<char, 4> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), http_status).ptr;
  const std::string content_type = "application/grpc" + std::string(call.content_subtype());
  std::string encoded;
  nghttp2_nv fields[4];
  fields[0] = copied(":status", {digits.data(), static_cast<std::size_t>(end - digits.data())}, true);
  fields[1] = copied("content-type", content_type, true);
  const std::size_t count = 2 + trailers(status, encoded, fields + 2);
  nghttp2_submit_response(session_, call.stream_id(), fields, count, nullptr);
  host_.mark_dirty();
}

void Http2Session::submit_response(Http2Call& call, bool gzip) {
  if (fatal_) return;
  std::string content_type;
  nghttp2_nv fields[3];
  fields[0] = header(":status", "200");
  if (call.content_subtype().empty()) {
    fields[1] = header("content-type", "application/grpc");
  } else {
    content_type = "application/grpc" + std::string(call.content_subtype());
    fields[1] = copied("content-type", content_type, true);
  }
  fields[2] = header("grpc-encoding", "gzip");
  nghttp2_data_provider provider;
  provider.source.ptr = &call;
  provider.read_callback = Http2Callbacks::read_data;
  nghttp2_submit_response(session_, call.stream_id(), fields, gzip ? 3 : 2, &provider);
  host_.mark_dirty();
}

void Http2Session::resume(Http2Call& call) {
  if (fatal_) return;
  nghttp2_session_resume_data(session_, call.stream_id());
  host_.mark_dirty();
}

void Http2Session::reset(Http2Call& call, std::uint32_t error_code) {
  if (fatal_) return;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, call.stream_id(), error_code);
  host_.mark_dirty();
}

// Ends and time.

void Http2Session::drain() {
  if (std::exchange(draining_, true) || fatal_) return;
  // First a GOAWAY that refuses nothing: calls that are on their way are still taken until the client has seen it.
  nghttp2_submit_shutdown_notice(session_);
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, kDrainPing.data());
  drain_at_ = now() + kDrainNoticeTimeout;
  host_.check_at(drain_at_);
  host_.mark_dirty();
}

void Http2Session::finish_drain() {
  if (std::exchange(drain_finished_, true) || fatal_) return;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR, nullptr, 0);
  host_.mark_dirty();
}

void Http2Session::abort(CancelReason reason) {
  if (aborted_) return;
  // Callbacks may let go of any call: hold all of them meanwhile.
  std::vector<CallRef> open;
  for (Http2Call* call = calls_; call != nullptr; call = call->next_of_session) {
    if (call->attached()) open.emplace_back(*call);
  }
  if (reason == CancelReason::kShutdown && !fatal_) {
    for (CallRef& call : open) static_cast<Http2Call&>(*call).cancel_call(reason);
    if (!std::exchange(closing_, true)) {
      nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR, nullptr, 0);
    }
    return;
  }
  aborted_ = fatal_ = true;
  for (CallRef& call : open) static_cast<Http2Call&>(*call).detach(reason);
}

std::optional<base::Instant> Http2Session::check_time(base::Instant at) {
  auto next = base::Instant::max();
  if (fatal_ || closing_) return std::nullopt;
  if (header_block_since_ != base::Instant()) {
    if (header_block_since_ + kHeaderBlockTimeout <= at) {
      calm_down("header_timeout");
      return std::nullopt;
    }
    next = header_block_since_ + kHeaderBlockTimeout;
  }
  if (draining_ && !drain_finished_) {
    if (drain_at_ <= at) {
      finish_drain();
    } else {
      next = std::min(next, drain_at_);
    }
  }
  if (our_ping_at_ != base::Instant() && last_read_ > our_ping_at_) our_ping_at_ = {};
  if (our_ping_at_ != base::Instant()) {
    if (our_ping_at_ + limits_.keepalive_timeout <= at) {
      fatal_ = true;
      return std::nullopt;
    }
    next = std::min(next, our_ping_at_ + limits_.keepalive_timeout);
  } else if (last_read_ + limits_.keepalive_interval <= at) {
    nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
    host_.mark_dirty();
    our_ping_at_ = at;
    next = std::min(next, at + limits_.keepalive_timeout);
  } else {
    next = std::min(next, last_read_ + limits_.keepalive_interval);
  }
  return next;
}

}  // namespace etcdpp::net

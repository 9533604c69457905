#include "http2_call.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include <etcdpp/base/assert.h>

#include "gzip.h"
#include "http2_session.h"
#include "thread_state.h"

namespace etcdpp::net {
namespace {

/// Recycled calls keep buffers up to this.
constexpr std::size_t kKeptBuffer = 64 * 1024;

constexpr std::string_view kGrpcContentType = "application/grpc";

std::string quoted(std::string_view text) { return '"' + base::printable(text) + '"'; }

}  // namespace

Http2Call::Http2Call(ThreadState& thread) : thread_(thread) {}
Http2Call::~Http2Call() = default;

Executor& Http2Call::executor() const { return thread_.io(); }

// Life of the object.

void Http2Call::attach(Http2Session& session, std::int32_t stream_id) {
  session_ = &session;
  attached_ = true;
  stream_id_ = stream_id;
  peer_ = session.peer();
  started_at_ = message_since_ = session.now();
  session.add_call(*this);
}

void Http2Call::detach(CancelReason reason) {
  CallRef keep(*this);
  attached_ = false;
  Timer::cancel();
  settle_receive_budget();
  out_.clear();
  out_next_ = 0;
  pending_ = 0;
  if (!finish_requested_) {
    cancel_call(reason);
  }
  end_stream_handler();
  // What the callbacks hold may hold references to this call.
  on_cancelled_ = nullptr;
  on_writable_ = nullptr;
}

void Http2Call::on_unreferenced() {
  if (attached_ && dispatched_ && !finish_requested_) {
    // The handler let the call go without an answer: that happens when its server has stopped.
    finish(StatusCode::kUnavailable, "etcdserver: server stopped");
  }
  return_if_unused();
}

void Http2Call::return_if_unused() {
  if (attached_ || referenced()) return;
  if (session_ != nullptr) session_->remove_call(*this);
  reset_for_pool();
  thread_.recycle(*this);
}

void Http2Call::reset_for_pool() {
  const auto trim = [](std::string& text) {
    text.clear();
    if (text.capacity() > kKeptBuffer) std::string().swap(text);
  };
  session_ = nullptr;
  method_ = nullptr;
  deadline_.reset();
  path_.clear();
  http_method_.clear();
  subtype_.clear();
  trim(header_text_);
  headers_.clear();
  header_bytes_ = 0;
  encoding_ = Encoding::kIdentity;
  prefix_have_ = 0;
  trim(part_);
  trim(held_);
  window_owed_ = 0;
  dispatched_ = discard_input_ = remote_closed_ = end_handled_ = receive_paused_ = false;
  pending_ = pending_at_timer_ = 0;
  headers_sent_ = data_waiting_ = after_fill_queued_ = finish_requested_ = cancelled_ = false;
  status_ = {};
  low_water_ = 0;
  above_low_water_ = false;
}

void Http2Call::end_stream_handler() {
  if (stream_) thread_.destroy_later(std::move(stream_), CallRef(*this));
}

// The request's header.

void Http2Call::add_header(std::string_view name, std::string_view value) {
  header_bytes_ += name.size() + value.size() + 32;  // as RFC 9113, 6.5.2 counts
  if (header_bytes_ > session_->limits().max_header_list) return;
  if (name == ":path") {
    path_ = value;
  } else if (name == ":method") {
    http_method_ = value;
  } else if (name != ":scheme") {
    const auto at = static_cast<std::uint32_t>(header_text_.size());
    headers_.push_back({at, static_cast<std::uint32_t>(name.size()), at + static_cast<std::uint32_t>(name.size()),
                        static_cast<std::uint32_t>(value.size())});
    header_text_.append(name).append(value);
  }
}

std::string_view Http2Call::metadata(std::string_view key) const {
  for (const Header& header : headers_) {
    if (slice(header.name_at, header.name_size) == key) return slice(header.value_at, header.value_size);
  }
  return {};
}

void Http2Call::visit_metadata(const std::function<void(std::string_view, std::string_view)>& visit) const {
  for (const Header& header : headers_) visit(slice(header.name_at, header.name_size), slice(header.value_at, header.value_size));
}

std::optional<std::pair<unsigned, Status>> Http2Call::judge_headers() {
  const Limits& limits = session_->limits();
  if (header_bytes_ > limits.max_header_list) {
    return std::pair(200u, Status{StatusCode::kResourceExhausted, "received request header list larger than max (" + std::to_string(header_bytes_) +
                                                                    " vs. " + std::to_string(limits.max_header_list) + ")"});
  }
  bool grpc = false;
  std::string_view content_type;
  std::optional<Status> bad;
  for (const Header& header : headers_) {
    const std::string_view name = slice(header.name_at, header.name_size);
    const std::string_view value = slice(header.value_at, header.value_size);
    if (name == "content-type") {
      content_type = value;
      if (value.starts_with(kGrpcContentType) &&
          (value.size() == kGrpcContentType.size() || value[kGrpcContentType.size()] == '+' || value[kGrpcContentType.size()] == ';')) {
        grpc = true;
        if (value.size() > kGrpcContentType.size() + 1 && value[kGrpcContentType.size()] == '+') subtype_ = value.substr(kGrpcContentType.size());
      }
    } else if (name == "grpc-timeout") {
      if (const auto timeout = parse_grpc_timeout(value)) {
        const base::Duration most = base::Instant::max() - started_at_;
        deadline_ = started_at_ + std::min(*timeout, most);
      } else {
        const std::string_view why = value.size() < 2   ? "transport: timeout string is too short: "
                                     : value.size() > 9 ? "transport: timeout string is too long: "
                                                        : "transport: timeout unit is not recognized: ";
        bad = Status{StatusCode::kInternal, "malformed grpc-timeout: " + std::string(why) + quoted(value)};
      }
    } else if (name == "grpc-encoding") {
      if (value == "gzip") {
        encoding_ = Encoding::kGzip;
      } else if (value != "identity" && !value.empty()) {
        encoding_ = Encoding::kUnknown;
      }
    } else if (name.ends_with("-bin")) {
      std::string decoded;
      if (!decode_binary_header(value, decoded)) {
        bad = Status{StatusCode::kInternal, "malformed binary metadata " + quoted(value) + " in header " + quoted(name) + ": illegal base64 data"};
      }
    }
  }
  if (!grpc) return std::pair(415u, Status{StatusCode::kInvalidArgument, "invalid gRPC request content-type " + quoted(content_type)});
  if (bad) return std::pair(400u, *bad);
  if (http_method_ != "POST") {
    return std::pair(405u, Status{StatusCode::kInternal, "Received a HEADERS frame with :method " + quoted(http_method_) + " which should be POST"});
  }
  return std::nullopt;
}

void Http2Call::on_headers_complete() {
  CallRef keep(*this);
  const auto refuse = [&](unsigned http_status, const Status& status) {
    finish_requested_ = discard_input_ = headers_sent_ = true;
    status_ = status;
    session_->submit_trailers_only(*this, http_status, status);
  };
  if (const auto wrong = judge_headers()) return refuse(wrong->first, wrong->second);
  const GrpcServer& server = session_->server();
  method_ = server.find(path_);
  if (method_ == nullptr) return refuse(200, server.unknown(path_));
  if (GrpcObserver* observer = server.observer()) observer->on_started(*method_, thread_.io().index());
  if (encoding_ == Encoding::kUnknown) {
    return end_call(StatusCode::kUnimplemented, "grpc: Decompressor is not installed for grpc-encoding " + quoted(metadata("grpc-encoding")));
  }
  if (deadline_ && *deadline_ <= started_at_) return end_call(StatusCode::kDeadlineExceeded, "context deadline exceeded");
  arm_timer();
  if (method_->kind == MethodKind::kBidiStream) open_stream();
}

void Http2Call::open_stream() {
  const Status status = session_->server().intercept(*this);
  if (!status.ok()) return finish(status);
  stream_ = method_->stream(*this);
  if (finish_requested_) end_stream_handler();
}

// Sending.

void Http2Call::send_message(std::string message) { send_message(std::move(message), {}); }

void Http2Call::send_message(std::string head, std::vector<base::SharedBytes> tail) {
  if (done()) return;
  if (encoding_ == Encoding::kGzip) {
    for (const base::SharedBytes& part : tail) head.append(part.view());
    tail.clear();
    if (GrpcObserver* observer = session_->server().observer()) observer->on_sent(*method_, head.size(), thread_.io().index());
    OutMessage out;
    out.head = gzip(head);
    const std::size_t length = out.head.size();
    return enqueue(std::move(out), length, true);
  }
  std::size_t length = head.size();
  for (const base::SharedBytes& part : tail) length += part.size();
  if (GrpcObserver* observer = session_->server().observer()) observer->on_sent(*method_, length, thread_.io().index());
  OutMessage out;
  out.head = std::move(head);
  out.tail = std::move(tail);
  enqueue(std::move(out), length, false);
}

void Http2Call::send_large(std::uint64_t length, std::unique_ptr<MessageProducer> producer) {
  if (done()) return;
  if (GrpcObserver* observer = session_->server().observer()) observer->on_sent(*method_, length, thread_.io().index());
  OutMessage out;
  out.producer = std::move(producer);
  out.producer_left = length;
  enqueue(std::move(out), length, false);
}

void Http2Call::enqueue(OutMessage message, std::uint64_t length, bool compressed) {
  ETCDPP_ASSERT(thread_.io().is_current(), "a call was used outside of its I/O thread");
  if (length > std::numeric_limits<std::int32_t>::max()) {
    return finish(StatusCode::kResourceExhausted,
                  "grpc: trying to send message larger than max (" + std::to_string(length) + " vs. 2147483647)");
  }
  message.prefix[0] = compressed ? 1 : 0;
  for (int i = 0; i < 4; ++i) message.prefix[1 + i] = static_cast<char>(length >> (24 - 8 * i) & 0xff);
  out_.push_back(std::move(message));
  pending_ += sizeof message.prefix + length;
  above_low_water_ = pending_ > low_water_;
  if (!headers_sent_) {
    headers_sent_ = true;
    session_->submit_response(*this, encoding_ == Encoding::kGzip);
  } else {
    resume_producer();
  }
}

void Http2Call::resume_producer() {
  if (attached_ && std::exchange(data_waiting_, false)) session_->resume(*this);
}

void Http2Call::finish(StatusCode code, std::string_view message) {
  if (done()) return;
  ETCDPP_ASSERT(thread_.io().is_current(), "a call was used outside of its I/O thread");
  end_call(code, message);
}

void Http2Call::end_call(StatusCode code, std::string_view message) {
  finish_requested_ = discard_input_ = true;
  status_.code = code;
  status_.message = message;
  settle_receive_budget();
  held_.clear();
  on_writable_ = nullptr;
  if (GrpcObserver* observer = session_->server().observer()) {
    observer->on_handled(*method_, code, thread_.io().now() - started_at_, thread_.io().index());
  }
  if (!attached_) return;
  if (!headers_sent_) {
    headers_sent_ = true;
    Timer::cancel();
    session_->submit_trailers_only(*this, 200, status_);
  } else {
    pending_at_timer_ = pending_;
    thread_.io().arm(*this, thread_.io().now() + session_->limits().write_timeout);
    resume_producer();
  }
  end_stream_handler();
}

void Http2Call::notify_cancelled(CancelReason reason) {
  if (stream_) stream_->on_cancelled(reason);
  end_stream_handler();
  if (auto callback = std::exchange(on_cancelled_, nullptr)) callback(reason);
}

void Http2Call::cancel_call(CancelReason reason) {
  if (finish_requested_) return;
  CallRef keep(*this);
  cancelled_ = true;
  std::unique_ptr<GrpcStream> stream = std::move(stream_);
  const bool blocked = pending_ > 0;
  out_.clear();
  out_next_ = 0;
  pending_ = 0;
  switch (reason) {
    case CancelReason::kDeadlineExceeded: end_call(StatusCode::kDeadlineExceeded, "context deadline exceeded"); break;
    case CancelReason::kShutdown: end_call(StatusCode::kUnavailable, "etcdserver: server stopped"); break;
    case CancelReason::kClientCancelled:
    case CancelReason::kDisconnected:
    case CancelReason::kBadMessage:
      if (method_ != nullptr) end_call(StatusCode::kCancelled, "context canceled");
      break;
  }
  // Trailers behind messages that the client's windows hold back would wait with them: then only a reset tells.
  // (At a shutdown the end of the connection tells, and means UNAVAILABLE, which a reset would not.)
  if (attached_ && blocked && reason != CancelReason::kShutdown) session_->reset(*this, NGHTTP2_CANCEL);
  stream_ = std::move(stream);
  notify_cancelled(reason);
}

Http2Call::Fill Http2Call::fill(char* out, std::size_t room) {
  Fill filled;
  const auto copy = [&](std::string_view bytes) {
    const std::size_t n = std::min(bytes.size(), room - filled.bytes);
    if (n > 0) std::memcpy(out + filled.bytes, bytes.data(), n);
    filled.bytes += n;
    return n;
  };
  while (filled.bytes < room && out_next_ < out_.size()) {
    OutMessage& message = out_[out_next_];
    message.prefix_sent += static_cast<std::uint8_t>(copy({message.prefix + message.prefix_sent, sizeof message.prefix - message.prefix_sent}));
    message.head_sent += copy(std::string_view(message.head).substr(message.head_sent));
    while (message.tail_index < message.tail.size() && filled.bytes < room) {
      const std::string_view part = message.tail[message.tail_index].view().substr(message.tail_sent);
      const std::size_t n = copy(part);
      message.tail_sent += n;
      if (n == part.size()) {
        ++message.tail_index;
        message.tail_sent = 0;
      }
    }
    bool dry = false;
    while (message.producer_left > 0 && filled.bytes < room && !dry) {
      const std::size_t ask = std::min<std::uint64_t>(room - filled.bytes, message.producer_left);
      const auto made = message.producer->produce(out + filled.bytes, ask);
      if (!made || *made > ask) {
        filled.failed = true;
        return filled;
      }
      filled.bytes += *made;
      message.producer_left -= *made;
      dry = *made == 0;
    }
    if (dry) break;
    const bool complete = message.prefix_sent == sizeof message.prefix && message.head_sent == message.head.size() &&
                          message.tail_index == message.tail.size() && message.producer_left == 0;
    if (!complete) break;
    message = OutMessage();
    ++out_next_;
  }
  pending_ -= std::min(pending_, filled.bytes);
  if (out_next_ == out_.size()) {
    out_.clear();
    out_next_ = 0;
    filled.end = finish_requested_;
  } else if (out_next_ >= 64 && out_next_ * 2 >= out_.size()) {
    out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(out_next_));
    out_next_ = 0;
  }
  filled.waiting = filled.bytes == 0 && !filled.end;
  data_waiting_ = filled.waiting;
  const bool writable = on_writable_ && above_low_water_ && pending_ <= low_water_;
  const bool unhold = !held_.empty() && pending_ <= kAnswersHoldRequests / 2;
  if ((writable || unhold) && !std::exchange(after_fill_queued_, true)) session_->queue_after_fill(CallRef(*this));
  return filled;
}

void Http2Call::after_fill() {
  after_fill_queued_ = false;
  if (!attached_) return;
  if (on_writable_ && above_low_water_ && pending_ <= low_water_) {
    above_low_water_ = false;
    // The callback may replace itself.
    auto callback = std::move(on_writable_);
    on_writable_ = nullptr;
    callback();
    if (!done() && !on_writable_) on_writable_ = std::move(callback);
  }
  if (pending_ <= kAnswersHoldRequests / 2) resume_receiving();
}

void Http2Call::set_on_cancelled(std::move_only_function<void(CancelReason)> callback) {
  if (!done()) on_cancelled_ = std::move(callback);
}

void Http2Call::set_on_writable(std::size_t low_water, std::move_only_function<void()> callback) {
  low_water_ = low_water;
  above_low_water_ = pending_ > low_water;
  on_writable_ = done() ? nullptr : std::move(callback);
}

}  // namespace etcdpp::net

// The receiving half of Http2Call: DATA to messages, under limits of size, time and memory.

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstring>

#include "gzip.h"
#include "http2_call.h"
#include "http2_session.h"
#include "thread_state.h"

namespace etcdpp::net {
namespace {

/// What a client must take of a finished answer in each write_timeout.
constexpr std::size_t kLeastProgress = 4096;

}  // namespace

void Http2Call::arm_timer() {
  auto due = base::Instant::max();
  if (deadline_) due = *deadline_;
  const bool awaits_message = !dispatched_ && (method_->kind != MethodKind::kBidiStream || prefix_have_ > 0);
  if (awaits_message) due = std::min(due, message_since_ + session_->limits().message_timeout);
  if (due == base::Instant::max()) {
    Timer::cancel();
  } else {
    thread_.io().arm(*this, due);
  }
}

void Http2Call::on_timer() {
  const base::Instant now = thread_.io().now();
  if (!attached_) return;
  if (finish_requested_) {
    // The answer waits for the client's window: a client that opens it no more, or by drops, is given up.
    if (pending_ + kLeastProgress > pending_at_timer_) return session_->reset(*this, NGHTTP2_CANCEL);
    pending_at_timer_ = pending_;
    thread_.io().arm(*this, now + session_->limits().write_timeout);
    return;
  }
  if (deadline_ && *deadline_ <= now) return cancel_call(CancelReason::kDeadlineExceeded);
  const bool awaits_message = !dispatched_ && (method_->kind != MethodKind::kBidiStream || prefix_have_ > 0);
  if (awaits_message && message_since_ + session_->limits().message_timeout <= now) {
    return fail_receive(StatusCode::kDeadlineExceeded, "the request's message did not arrive in time");
  }
  arm_timer();
}

bool Http2Call::receiving_paused() const {
  return receive_paused_ || (method_ != nullptr && method_->kind == MethodKind::kBidiStream && pending_ > kAnswersHoldRequests);
}

void Http2Call::on_data(const char* bytes, std::size_t size) {
  const std::string_view chunk(bytes, size);
  if (discard_input_) return session_->consume(*this, size);
  // What is held goes first, also when the reason to hold it has just ended.
  if (receiving_paused() || !held_.empty()) {
    held_.append(chunk);
    return;
  }
  feed(chunk);
}

void Http2Call::feed(std::string_view bytes) {
  CallRef keep(*this);
  std::size_t taken = 0;
  while (taken < bytes.size() && !discard_input_ && attached_) {
    if (receiving_paused()) {
      held_.append(bytes.substr(taken));
      break;
    }
    if (prefix_have_ < sizeof prefix_) {
      const std::size_t n = std::min(sizeof prefix_ - prefix_have_, bytes.size() - taken);
      std::memcpy(prefix_ + prefix_have_, bytes.data() + taken, n);
      prefix_have_ += static_cast<std::uint8_t>(n);
      taken += n;
      if (prefix_have_ < sizeof prefix_) {
        message_since_ = thread_.io().now();
        break;
      }
      if (!begin_message()) break;
      const std::string_view rest = bytes.substr(taken);
      if (rest.size() >= message_size_) {
        taken += message_size_;
        deliver(rest.substr(0, message_size_));
      } else {
        message_since_ = thread_.io().now();
        session_->receive_share().ask(*this, message_size_);
      }
      continue;
    }
    const std::size_t n = std::min<std::size_t>(message_size_ - part_.size(), bytes.size() - taken);
    part_.append(bytes.substr(taken, n));
    taken += n;
    if (part_.size() == message_size_) {
      settle_receive_budget();
      deliver(part_);
      part_.clear();
    }
  }
  if (!attached_) return;
  if (discard_input_) taken = bytes.size();
  if (prefix_have_ > 0 && !dispatched_ && !finish_requested_ && method_->kind == MethodKind::kBidiStream) arm_timer();
  give_window_back(taken);
}

bool Http2Call::begin_message() {
  message_compressed_ = prefix_[0] != 0;
  message_size_ = static_cast<std::uint32_t>(static_cast<unsigned char>(prefix_[1])) << 24 |
                  static_cast<std::uint32_t>(static_cast<unsigned char>(prefix_[2])) << 16 |
                  static_cast<std::uint32_t>(static_cast<unsigned char>(prefix_[3])) << 8 | static_cast<unsigned char>(prefix_[4]);
  const std::size_t max = session_->limits().max_receive_message;
  if (message_size_ > max) {
    fail_receive(StatusCode::kResourceExhausted,
                 "grpc: received message larger than max (" + std::to_string(message_size_) + " vs. " + std::to_string(max) + ")");
    return false;
  }
  if (static_cast<unsigned char>(prefix_[0]) > 1) {
    fail_receive(StatusCode::kInternal,
                 "grpc: received unexpected payload format " + std::to_string(static_cast<unsigned char>(prefix_[0])));
    return false;
  }
  if (message_compressed_ && encoding_ == Encoding::kIdentity) {
    fail_receive(StatusCode::kInternal, "grpc: compressed flag set with identity or empty encoding");
    return false;
  }
  return true;
}

void Http2Call::deliver(std::string_view message) {
  prefix_have_ = 0;
  std::string plain;
  if (message_compressed_) {
    const std::size_t max = session_->limits().max_receive_message;
    switch (gunzip(message, max, plain)) {
      case Gunzip::kOk: break;
      case Gunzip::kTooLarge:
        return fail_receive(StatusCode::kResourceExhausted, "grpc: received message after decompression larger than max " + std::to_string(max));
      case Gunzip::kMalformed:
        return fail_receive(StatusCode::kInternal, "grpc: failed to decompress the message: gzip: invalid data");
    }
    message = plain;
  }
  const GrpcServer& server = session_->server();
  if (GrpcObserver* observer = server.observer()) observer->on_received(*method_, message.size(), thread_.io().index());
  if (method_->kind == MethodKind::kBidiStream) {
    if (stream_) stream_->on_message(message);
    return;
  }
  dispatched_ = discard_input_ = true;
  arm_timer();
  const Status status = server.intercept(*this);
  if (!status.ok()) return finish(status);
  method_->unary(CallRef(*this), message);
}

void Http2Call::on_remote_end() {
  remote_closed_ = true;
  if (held_.empty()) handle_end();
}

void Http2Call::handle_end() {
  if (std::exchange(end_handled_, true) || finish_requested_ || method_ == nullptr) return;
  if (method_->kind != MethodKind::kBidiStream) {
    if (dispatched_) return;
    // grpc-go's codes: it reads a unary message itself, a stream's in the handler.
    const StatusCode code = method_->kind == MethodKind::kUnary ? StatusCode::kUnknown : StatusCode::kInternal;
    return fail_receive(code, prefix_have_ == sizeof prefix_ ? "unexpected EOF" : "EOF");
  }
  if (prefix_have_ > 0) return fail_receive(StatusCode::kInternal, "unexpected EOF");
  if (stream_) stream_->on_half_close();
}

void Http2Call::fail_receive(StatusCode code, std::string_view message) {
  discard_input_ = true;
  settle_receive_budget();
  if (finish_requested_) return;
  cancelled_ = true;
  std::unique_ptr<GrpcStream> stream = std::move(stream_);
  end_call(code, message);
  stream_ = std::move(stream);
  notify_cancelled(CancelReason::kBadMessage);
}

void Http2Call::give_window_back(std::size_t bytes) {
  if (bytes == 0 || !attached_) return;
  if (!waiting()) return session_->consume(*this, bytes);
  window_owed_ += bytes;
  thread_.waiting_bytes += bytes;
  if (thread_.waiting_bytes > session_->limits().receive_budget_per_thread / 2) {
    discard_input_ = true;
    settle_receive_budget();
    session_->reset(*this, NGHTTP2_REFUSED_STREAM);
  }
}

void Http2Call::on_granted() {
  thread_.waiting_bytes -= window_owed_;
  if (attached_) session_->consume(*this, window_owed_);
  window_owed_ = 0;
}

void Http2Call::settle_receive_budget() {
  if (session_ == nullptr || (!granted() && !waiting())) return;
  const bool waited = waiting();
  session_->receive_share().release(*this);
  if (waited) on_granted();
}

void Http2Call::pause_receiving(bool paused) {
  receive_paused_ = paused;
  if (!paused) resume_receiving();
}

void Http2Call::resume_receiving() {
  if (receiving_paused() || !attached_) return;
  CallRef keep(*this);
  if (!held_.empty()) {
    const std::string held = std::exchange(held_, {});
    feed(held);
  }
  if (attached_ && remote_closed_ && held_.empty()) handle_end();
}

}  // namespace etcdpp::net

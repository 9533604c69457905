#include "connection.h"

#include <sys/epoll.h>

#include <algorithm>

#include <etcdpp/base/assert.h>

#include "http1_session.h"
#include "http2_session.h"

namespace etcdpp::net {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Of one connection, so that one that sends without end leaves the others their turn.
constexpr int kReadsPerTurn = 2;
constexpr base::Duration kLingerTime = std::chrono::seconds(1);
constexpr std::size_t kLingerBytes = 4 << 20;

}  // namespace

Connection::Connection(std::shared_ptr<ListenerCore> core, ThreadState& thread, std::unique_ptr<ByteStream> stream, std::string peer)
    : core_(std::move(core)), thread_(thread), stream_(std::move(stream)), peer_(std::move(peer)), opened_at_(thread.io().now()) {
  interest_ = EPOLLIN;
  thread_.io().add_fd(stream_->fd(), interest_, *this);
  thread_.adopt(*this);
  check_at(opened_at_ + core_->limits.preface_timeout);
  if (thread_.io().reading_paused()) update_interest();
}

Connection::~Connection() { ETCDPP_ASSERT(phase_ == Phase::kClosed, "an open connection was destroyed"); }

void Connection::mark_dirty() {
  if (dirty_ || phase_ != Phase::kOpen) return;
  dirty_ = true;
  thread_.mark_dirty(*this);
}

void Connection::check_at(base::Instant due) {
  if (phase_ == Phase::kClosed) return;
  if (!armed() || due < Timer::due()) thread_.io().arm(*this, due);
}

void Connection::update_interest() {
  if (phase_ == Phase::kClosed) return;
  std::uint32_t wanted = 0;
  if (!read_ended_) {
    if (phase_ == Phase::kLingering) {
      wanted |= EPOLLIN;
    } else if (!thread_.io().reading_paused() && (!session_ || session_->wants_read())) {
      wanted |= EPOLLIN;
    }
  }
  if (phase_ == Phase::kOpen && !unsent_.empty()) wanted |= EPOLLOUT;
  if (wanted == interest_) return;
  interest_ = wanted;
  thread_.io().change_fd(stream_->fd(), interest_, *this);
}

void Connection::on_ready(std::uint32_t events) {
  if (phase_ == Phase::kClosed) return;
  if (events & EPOLLOUT) {
    if (!unsent_.empty() && !write_out({})) return;
    mark_dirty();
  }
  if (events & EPOLLIN) {
    read_some();
  } else if (events & (EPOLLERR | EPOLLHUP)) {
    close(CancelReason::kDisconnected);
  }
  update_interest();
}

void Connection::read_some() {
  for (int i = 0; i < kReadsPerTurn; ++i) {
    const IoResult got = stream_->read(thread_.read_buffer(), ThreadState::kReadBuffer);
    if (got.state == IoState::kWouldBlock) return;
    if (got.state == IoState::kClosed) {
      read_ended_ = true;
      if (phase_ == Phase::kLingering || !session_) return close(CancelReason::kDisconnected);
      session_->on_eof();
      mark_dirty();
      return;
    }
    if (phase_ == Phase::kLingering) {
      linger_bytes_ += got.bytes;
      if (linger_bytes_ > kLingerBytes) return close(CancelReason::kDisconnected);
      continue;
    }
    core_->received_bytes.fetch_add(got.bytes, std::memory_order_relaxed);
    take({thread_.read_buffer(), got.bytes});
    if (phase_ != Phase::kOpen || got.bytes < ThreadState::kReadBuffer) return;
    if (thread_.io().reading_paused() || (session_ && !session_->wants_read())) return;
  }
}

void Connection::take(std::string_view bytes) {
  if (!session_) {
    if (!first_bytes_.empty()) {
      first_bytes_.append(bytes);
      if (!choose_session(first_bytes_)) return;
      const std::string all = std::exchange(first_bytes_, {});
      if (session_) session_->on_read(all);
      mark_dirty();
      return;
    }
    if (!choose_session(bytes)) {
      first_bytes_.assign(bytes);
      return;
    }
    if (!session_) return;
  }
  session_->on_read(bytes);
  mark_dirty();
}

bool Connection::choose_session(std::string_view bytes) {
  const std::size_t known = std::min(bytes.size(), kPreface.size());
  const bool may_be_http2 = bytes.substr(0, known) == kPreface.substr(0, known);
  if (may_be_http2 && known < kPreface.size()) return false;
  if (may_be_http2 && core_->protocols.grpc != nullptr) {
    session_ = std::make_unique<Http2Session>(*this, thread_, *core_->protocols.grpc, core_->limits);
  } else if (!may_be_http2 && core_->protocols.http != nullptr) {
    session_ = std::make_unique<Http1Session>(*this, thread_, *core_->protocols.http, core_->limits);
  } else {
    close(CancelReason::kDisconnected);
    return true;
  }
  if (core_->draining.load(std::memory_order_relaxed)) session_->drain();
  return true;
}

bool Connection::write_out(std::string_view bytes) {
  const bool from_unsent = !unsent_.empty();
  if (from_unsent) bytes = std::string_view(unsent_).substr(unsent_offset_);
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const IoResult put = stream_->write(bytes.data() + sent, bytes.size() - sent);
    if (put.state == IoState::kClosed) {
      close(CancelReason::kDisconnected);
      return false;
    }
    if (put.state == IoState::kWouldBlock) break;
    sent += put.bytes;
  }
  core_->sent_bytes.fetch_add(sent, std::memory_order_relaxed);
  if (sent == bytes.size()) {
    if (from_unsent) {
      unsent_ = std::string();
      unsent_offset_ = 0;
    }
    return true;
  }
  if (from_unsent) {
    unsent_offset_ += sent;
  } else {
    unsent_.assign(bytes.substr(sent));
    unsent_offset_ = 0;
  }
  if (sent > 0 || !from_unsent) {
    write_progress_at_ = now();
    check_at(write_progress_at_ + core_->limits.write_timeout);
  }
  return false;
}

void Connection::flush() {
  dirty_ = false;
  if (phase_ != Phase::kOpen || !session_) return;
  if (!unsent_.empty() && !write_out({})) return update_interest();
  OutBuffer& out = thread_.out_buffer(core_->limits);
  const std::size_t share = thread_.bytes_for_each();
  bool more = true;
  for (std::size_t sent = 0; sent < share && more; sent += out.size()) {
    out.clear();
    session_->fill(out);
    more = out.full();
    if (out.size() > 0 && !write_out(out.view())) {
      if (phase_ == Phase::kOpen) session_->after_fill();
      return update_interest();
    }
  }
  session_->after_fill();
  if (phase_ != Phase::kOpen) return;
  if (more) {
    mark_dirty();
  } else if (session_->over() && !dirty_) {
    return linger();
  }
  update_interest();
}

void Connection::linger() {
  session_->abort(CancelReason::kDisconnected);
  if (read_ended_) return close(CancelReason::kDisconnected);
  phase_ = Phase::kLingering;
  stream_->shutdown_write();
  linger_until_ = now() + kLingerTime;
  thread_.io().arm(*this, linger_until_);
  update_interest();
}

void Connection::drain() {
  if (phase_ != Phase::kOpen) return;
  if (!session_) return close(CancelReason::kDisconnected);
  session_->drain();
  mark_dirty();
}

void Connection::shut_down() {
  if (phase_ == Phase::kClosed) return;
  if (phase_ == Phase::kLingering || !session_ || !unsent_.empty()) return close(CancelReason::kShutdown);
  session_->abort(CancelReason::kShutdown);
  mark_dirty();
}

void Connection::on_timer() {
  const base::Instant at = now();
  if (phase_ == Phase::kLingering) return close(CancelReason::kDisconnected);
  if (!session_) return close(CancelReason::kDisconnected);
  if (!unsent_.empty()) {
    const base::Instant stalled = write_progress_at_ + core_->limits.write_timeout;
    if (stalled <= at) return close(CancelReason::kDisconnected);
    check_at(stalled);
  }
  if (const auto next = session_->check_time(at)) check_at(*next);
  mark_dirty();
}

void Connection::close(CancelReason reason) {
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kClosed;
  // Too late to tell the peer anything; only handlers learn why.
  if (session_) session_->abort(reason == CancelReason::kShutdown ? CancelReason::kDisconnected : reason);
  cancel();
  thread_.io().remove_fd(stream_->fd());
  thread_.forget(*this, dirty_);
  thread_.io().retire(std::unique_ptr<FdHandler>(this));
  core_->connection_closed();
}

}  // namespace etcdpp::net

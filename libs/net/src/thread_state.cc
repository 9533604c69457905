#include "thread_state.h"

#include <algorithm>
#include <ctime>

#include "connection.h"
#include "http2_call.h"

namespace etcdpp::net {

ThreadState::ThreadState(IoThread& io) : io_(io), read_buffer_(std::make_unique_for_overwrite<char[]>(kReadBuffer)) {
  io_.on_write_phase([this] { write_phase(); });
  io_.on_pause_change([this](bool) {
    for (Connection* connection : connections_) connection->update_interest();
  });
}

ThreadState::~ThreadState() = default;

void ThreadState::adopt(Connection& connection) {
  connection.place = connections_.size();
  connections_.push_back(&connection);
}

void ThreadState::forget(Connection& connection, bool dirty) {
  connections_.back()->place = connection.place;
  connections_[connection.place] = connections_.back();
  connections_.pop_back();
  if (dirty) std::erase(dirty_, &connection);
  std::replace(flushing_.begin(), flushing_.end(), &connection, static_cast<Connection*>(nullptr));
}

std::size_t ThreadState::bytes_for_each() const {
  return std::max(kLeastBytesForEach, kBytesPerTurn / std::max<std::size_t>(flushing_.size(), 1));
}

void ThreadState::write_phase() {
  flushing_.swap(dirty_);
  for (std::size_t i = 0; i < flushing_.size(); ++i) {
    if (flushing_[i] != nullptr) flushing_[i]->flush();
  }
  flushing_.clear();
  if (!ended_streams_.empty()) std::exchange(ended_streams_, {}).clear();
  // Callbacks of this phase may have produced more: that goes out in the next turn, after the other sockets were read.
  if (!dirty_.empty()) io_.turn_again();
}

Http2Call& ThreadState::new_call() {
  ++open_calls_;
  if (calls_.empty()) return *new Http2Call(*this);
  Http2Call* call = calls_.back().release();
  calls_.pop_back();
  return *call;
}

void ThreadState::recycle(Http2Call& call) {
  --open_calls_;
  std::unique_ptr<Http2Call> owned(&call);
  if (calls_.size() < kRecycledCalls) calls_.push_back(std::move(owned));
}

std::string_view ThreadState::http_date() {
  const std::int64_t second = io_.clock().wall_milliseconds() / 1000;
  if (second != date_second_) {
    date_second_ = second;
    const std::time_t time = second;
    std::tm utc{};
    ::gmtime_r(&time, &utc);
    char text[64];
    date_.assign(text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc));
  }
  return date_;
}

ReceiveBudget& ThreadState::receive_budget(const Limits& limits) {
  if (!receive_budget_) receive_budget_ = std::make_unique<ReceiveBudget>(limits.receive_budget_per_thread);
  return *receive_budget_;
}

OutBuffer& ThreadState::out_buffer(const Limits& limits) {
  if (!out_buffer_) out_buffer_ = std::make_unique<OutBuffer>(limits.connection_send_buffer);
  out_buffer_->set_soft_limit(std::min(limits.connection_send_buffer, bytes_for_each()));
  return *out_buffer_;
}

}  // namespace etcdpp::net

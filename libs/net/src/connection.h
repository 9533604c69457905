#pragma once

#include <memory>
#include <string>

#include <etcdpp/net/io_thread.h>

#include "byte_stream.h"
#include "listener_core.h"
#include "session.h"
#include "thread_state.h"

namespace etcdpp::net {

/// One accepted connection: its socket, and the session once the first bytes have told the protocol. Reads into the
/// thread's buffer, so an idle connection holds no buffer; writes once per turn.
///
/// Ends in three ways: at once (the peer is gone), after everything has been written (the session is over), and then
/// with a short linger so that the last bytes are not lost to a reset.
class Connection final : public FdHandler, public SessionHost, private Timer {
 public:
  Connection(std::shared_ptr<ListenerCore> core, ThreadState& thread, std::unique_ptr<ByteStream> stream, std::string peer);
  ~Connection() override;

  void on_ready(std::uint32_t events) override;
  /// Makes and writes what the session has to say. In the write phase.
  void flush();
  /// Sets epoll's interest after anything that it depends on has changed.
  void update_interest();
  void drain();
  /// Tells the peer if possible, and closes.
  void shut_down();
  /// Closes, whatever it is doing.
  void shut_down_hard() { close(CancelReason::kShutdown); }

  const ListenerCore* core() const { return core_.get(); }

  std::size_t place = 0;  // ThreadState's: where it stands in the list of connections

 private:
  enum class Phase { kOpen, kLingering, kClosed };

  void mark_dirty() override;
  void check_at(base::Instant due) override;
  base::Instant now() const override { return thread_.io().now(); }
  std::string_view peer() const override { return peer_; }
  void on_timer() override;

  void read_some();
  void take(std::string_view bytes);
  /// Looks at the first bytes; false while they do not tell.
  bool choose_session(std::string_view bytes);
  /// False when the socket takes no more for now (the rest is kept) or is broken (closed).
  bool write_out(std::string_view bytes);
  void linger();
  void close(CancelReason reason);

  const std::shared_ptr<ListenerCore> core_;
  ThreadState& thread_;
  const std::unique_ptr<ByteStream> stream_;
  const std::string peer_;
  std::unique_ptr<Session> session_;
  std::string first_bytes_;   // before the protocol is known
  std::string unsent_;        // what the socket did not take
  std::size_t unsent_offset_ = 0;
  base::Instant opened_at_;
  base::Instant write_progress_at_{};
  base::Instant linger_until_{};
  std::size_t linger_bytes_ = 0;
  std::uint32_t interest_ = 0;
  Phase phase_ = Phase::kOpen;
  bool dirty_ = false;
  bool read_ended_ = false;
};

}  // namespace etcdpp::net

#pragma once

#include <optional>
#include <string_view>

#include <etcdpp/base/clock.h>
#include <etcdpp/net/grpc_call.h>

#include "out_buffer.h"

namespace etcdpp::net {

/// What a connection speaks: takes the bytes that were read, and makes those to be written. Knows no socket, so that
/// tests can feed it anything. All in the connection's I/O thread.
class Session {
 public:
  virtual ~Session() = default;

  virtual void on_read(std::string_view bytes) = 0;
  /// The peer sends no more.
  virtual void on_eof() = 0;
  /// Appends what there is to send until the buffer is full. In the write phase, once per turn and while the socket takes it.
  virtual void fill(OutBuffer& out) = 0;
  /// After a fill has been written: for callbacks that must not run inside fill.
  virtual void after_fill() {}

  /// False: nothing is taken off the socket for now.
  virtual bool wants_read() const = 0;
  /// Once everything made has been written, the connection is to be closed.
  virtual bool over() const = 0;
  /// Finish what is open, take nothing new.
  virtual void drain() = 0;
  /// The end, now: calls are cancelled. With kShutdown the peer is still told (then over() holds).
  virtual void abort(CancelReason reason) = 0;
  /// Acts on deadlines that `now` has passed; when to ask again.
  virtual std::optional<base::Instant> check_time(base::Instant now) = 0;
};

/// What a session asks of its connection.
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  /// fill() has something to say in this turn.
  virtual void mark_dirty() = 0;
  /// check_time() is to be called at `due` or before.
  virtual void check_at(base::Instant due) = 0;
  virtual base::Instant now() const = 0;
  virtual std::string_view peer() const = 0;
};

}  // namespace etcdpp::net

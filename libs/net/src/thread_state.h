#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <etcdpp/net/grpc_call.h>
#include <etcdpp/net/io_thread.h>
#include <etcdpp/net/limits.h>

#include "block_pool.h"
#include "out_buffer.h"
#include "receive_budget.h"

namespace etcdpp::net {

class Connection;
class Http2Call;

/// What the connections of one I/O thread share: buffers, recycled calls, the list of connections that have something to
/// write. Made at first use in its thread (IoThread::local).
class ThreadState {
 public:
  static constexpr std::size_t kReadBuffer = 64 * 1024;
  static constexpr std::size_t kRecycledCalls = 4096;

  explicit ThreadState(IoThread& io);
  ~ThreadState();
  ThreadState(const ThreadState&) = delete;
  ThreadState& operator=(const ThreadState&) = delete;

  IoThread& io() { return io_; }
  char* read_buffer() { return read_buffer_.get(); }

  void mark_dirty(Connection& connection) { dirty_.push_back(&connection); }
  void adopt(Connection& connection);
  /// Before a connection is destroyed.
  void forget(Connection& connection, bool dirty);
  const std::vector<Connection*>& connections() const { return connections_; }

  Http2Call& new_call();
  void recycle(Http2Call& call);
  std::size_t open_calls() const { return open_calls_; }

  /// Destroys `object` in the write phase, when nobody can be inside it. It may still talk to its call until then, so the
  /// call must not become another one's before.
  void destroy_later(std::unique_ptr<GrpcStream> object, CallRef call) {
    ended_streams_.push_back({std::move(call), std::move(object)});
  }

  /// "Date: …" of HTTP/1.1 answers, made once a second.
  std::string_view http_date();

  // Shared by all listeners: the first connection's limits size it.
  ReceiveBudget& receive_budget(const Limits& limits);
  OutBuffer& out_buffer(const Limits& limits);
  BlockPool& blocks() { return blocks_; }
  /// What one connection may write in this turn: of a megabyte, about a millisecond's work, its share among those that have
  /// something to say. The rest goes in the next turn, after the other sockets were read: who asks for little does not wait
  /// behind all that others have asked for.
  std::size_t bytes_for_each() const;
  /// Bytes of partly received messages that wait for the budget.
  std::size_t waiting_bytes = 0;

 private:
  void write_phase();

  IoThread& io_;
  BlockPool blocks_;  // outlives what stands below
  std::unique_ptr<char[]> read_buffer_;
  std::vector<Connection*> connections_;
  static constexpr std::size_t kBytesPerTurn = 1u << 20;
  static constexpr std::size_t kLeastBytesForEach = 16 * 1024;

  std::vector<Connection*> dirty_;
  std::vector<Connection*> flushing_;
  std::vector<std::unique_ptr<Http2Call>> calls_;
  struct EndedStream {
    CallRef call;  // let go after the stream
    std::unique_ptr<GrpcStream> stream;
  };
  std::vector<EndedStream> ended_streams_;
  std::size_t open_calls_ = 0;
  std::unique_ptr<ReceiveBudget> receive_budget_;
  std::unique_ptr<OutBuffer> out_buffer_;
  std::string date_;
  std::int64_t date_second_ = -1;
};

}  // namespace etcdpp::net

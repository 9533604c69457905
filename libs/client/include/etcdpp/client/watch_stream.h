#pragma once

#include <cstdint>
#include <memory>

#include <etcdserverpb/rpc.pb.h>

#include <etcdpp/base/result.h>

namespace etcdpp::client {

class Client;

/// One stream of watch events that carries any number of watchers and survives the loss of its connection: it comes
/// back on the next endpoint and continues each watcher behind the last revision that was handed out, so no event is
/// lost or doubled.
///
/// Threads: next() by one; add(), remove(), request_progress() and close() by any.
/// Order: each watcher's events come by revision; the pieces of a fragmented answer are put together again.
/// Errors of next(): Errc::kClosed after close(); a status when the server ended the stream for good (other than
/// Unavailable and Internal, which are what a lost connection looks like), or with "etcdserver: no leader".
/// etcd: clientv3.Watcher; requests carry `hasleader`, as etcdctl's do.
class WatchStream {
 public:
  explicit WatchStream(Client& client);
  ~WatchStream();
  WatchStream(const WatchStream&) = delete;
  WatchStream& operator=(const WatchStream&) = delete;

  /// Starts a watcher, now or when the stream is next connected. Returns its id, which the responses carry and which
  /// stays the same over reconnections; `request.watch_id` is not looked at.
  std::int64_t add(etcdserverpb::WatchCreateRequest request);

  /// Ends a watcher. Its canceled response still comes.
  void remove(std::int64_t watch_id);

  /// Asks for a response without events and with watch id -1 that says up to where all watchers are complete; now or
  /// when the stream is next connected.
  void request_progress();

  /// Waits for the next response: created, events, progress (no events), or canceled with reason and compact revision,
  /// after which that watcher is gone. Created is reported once per watcher. Waits for ever while there is no watcher.
  base::Result<etcdserverpb::WatchResponse> next();

  /// Ends the stream; a next() in another thread returns.
  void close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace etcdpp::client

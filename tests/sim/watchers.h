#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <etcdpp/base/random.h>

#include <member.h>
#include <rpc/hub_thread.h>

#include "executor.h"
#include "history.h"
#include "trace.h"
#include "tuning.h"

namespace etcdpp::sim {

/// Clients that watch, over all lives of a member: streams that stall and go on, watchers that come and go, and after each
/// start take up where they were, as etcd's client library does. The hub and the history loop are the member's own; only the
/// network is not there.
class Watchers {
 public:
  /// A way to break what the member does for its watchers, that a run must find.
  enum class Sabotage {
    kNone,
    kLateCompaction,   ///< a compaction that took place after the hub had looked is not noticed: what is left is sent
    kEarlyProgress,    ///< progress is answered with the store's revision, whatever the hub has sent
  };

  Watchers(const Tuning& tuning, base::Random& random, const base::Clock& clock, History& history, Trace& trace, Sabotage sabotage);
  ~Watchers();

  void connect(server::Member& member);
  /// The process is gone, and what it had sent and nobody has read.
  void disconnect();
  /// A heartbeat interval has passed.
  void tick();
  /// Some watching client, the I/O thread or the history loop does something.
  void step();
  /// Everybody reads until nothing more comes. False if it does not end.
  bool settle();

 private:
  class Stream;
  class LateHub;

  void act(Stream& stream);
  void create(Stream& stream);
  void resume(Stream& stream, std::size_t watcher);
  bool read(Stream& stream);

  const Tuning& tuning_;
  base::Random& random_;
  History& history_;
  Trace& trace_;
  const Sabotage sabotage_;
  Executor thread_;
  server::Member* member_ = nullptr;
  std::unique_ptr<server::HistoryLoop> history_loop_;
  std::unique_ptr<server::HubThread> hub_;
  std::vector<std::unique_ptr<Stream>> streams_;
};

}  // namespace etcdpp::sim

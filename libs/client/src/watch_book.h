#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include <etcdserverpb/rpc.pb.h>

namespace etcdpp::client {

/// What a watch stream must remember to continue elsewhere: each watcher's request, and the first revision that was not
/// handed out yet. Pure; the stream's owner guards it.
class WatchBook {
 public:
  /// Numbers the watcher and returns the request that creates it.
  etcdserverpb::WatchCreateRequest add(etcdserverpb::WatchCreateRequest request);

  bool empty() const { return watchers_.empty(); }

  /// The requests that create every watcher anew behind what was handed out, in the order they were added;
  /// half-received fragments are forgotten, since they come again.
  std::vector<etcdserverpb::WatchCreateRequest> resume();

  /// Takes a response as it came and returns it as it is handed out: nothing for a repeated `created` and for a
  /// fragment that is not the last.
  std::optional<etcdserverpb::WatchResponse> receive(etcdserverpb::WatchResponse response);

 private:
  struct Watcher {
    etcdserverpb::WatchCreateRequest request;
    std::int64_t next_revision = 0;  // 0: not known yet, the watcher starts at whatever is current
    bool created = false;
    std::optional<etcdserverpb::WatchResponse> fragments;
  };

  std::map<std::int64_t, Watcher> watchers_;
  std::int64_t last_id_ = 0;
};

}  // namespace etcdpp::client

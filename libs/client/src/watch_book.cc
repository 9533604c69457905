#include "watch_book.h"

#include <algorithm>

namespace etcdpp::client {

namespace pb = etcdserverpb;

pb::WatchCreateRequest WatchBook::add(pb::WatchCreateRequest request) {
  const std::int64_t id = ++last_id_;
  request.set_watch_id(id);
  Watcher& watcher = watchers_[id];
  watcher.request = std::move(request);
  watcher.next_revision = watcher.request.start_revision();
  return watcher.request;
}

std::vector<pb::WatchCreateRequest> WatchBook::resume() {
  std::vector<pb::WatchCreateRequest> requests;
  for (auto& [id, watcher] : watchers_) {
    watcher.fragments.reset();
    requests.push_back(watcher.request);
    requests.back().set_start_revision(watcher.next_revision);
  }
  return requests;
}

std::optional<pb::WatchResponse> WatchBook::receive(pb::WatchResponse response) {
  const bool is_progress = response.events().empty() && !response.created() && !response.canceled();
  if (response.watch_id() == -1 && is_progress) {
    for (auto& [id, watcher] : watchers_)
      watcher.next_revision = std::max(watcher.next_revision, response.header().revision() + 1);
    return response;
  }
  auto found = watchers_.find(response.watch_id());
  if (found == watchers_.end()) return std::nullopt;
  Watcher& watcher = found->second;

  if (response.canceled()) {
    watchers_.erase(found);
    return response;
  }
  if (response.created()) {
    // A watcher that started at "now" is bound to this revision, so that nothing is missed if the stream is lost before
    // its first event.
    if (watcher.next_revision == 0) watcher.next_revision = response.header().revision() + 1;
    if (watcher.created) return std::nullopt;
    watcher.created = true;
    return response;
  }
  if (is_progress && !response.fragment() && !watcher.fragments) {
    watcher.next_revision = std::max(watcher.next_revision, response.header().revision() + 1);
    return response;
  }

  if (watcher.fragments) {
    watcher.fragments->mutable_events()->MergeFrom(response.events());
    watcher.fragments->set_fragment(response.fragment());
    response = std::move(*watcher.fragments);
    watcher.fragments.reset();
  }
  if (response.fragment()) {
    watcher.fragments = std::move(response);
    return std::nullopt;
  }
  if (!response.events().empty())
    watcher.next_revision = response.events(response.events_size() - 1).kv().mod_revision() + 1;
  return response;
}

}  // namespace etcdpp::client

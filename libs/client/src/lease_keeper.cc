#include <etcdpp/client/lease_keeper.h>

#include <algorithm>

#include <etcdpp/client/client.h>
#include <etcdpp/client/errc.h>

namespace etcdpp::client {
namespace {

// How long the first renewal may take, before the lease's own time is known: etcd's client gives it as long.
constexpr std::chrono::seconds kFirstKeepAliveTimeout{5};
constexpr std::chrono::milliseconds kPauseAfterFailure{500};

}  // namespace

LeaseKeeper::LeaseKeeper(Client& client, std::int64_t lease_id)
    : client_(client),
      lease_id_(lease_id),
      due_(std::chrono::steady_clock::now()),
      expires_(due_ + kFirstKeepAliveTimeout) {}

base::Result<etcdserverpb::LeaseKeepAliveResponse> LeaseKeeper::next() {
  for (;;) {
    if (!wait_until(due_)) return base::Error(Errc::kClosed);
    const auto now = std::chrono::steady_clock::now();
    if (now >= expires_) return base::Error(Errc::kLeaseExpired);

    etcdserverpb::LeaseKeepAliveRequest request;
    request.set_id(lease_id_);
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(expires_ - now);
    auto response = client_.lease_keep_alive_once(
        request, {.timeout = std::max(left, std::chrono::milliseconds(1)), .require_leader = true});
    if (response) {
      if (response->ttl() <= 0) return base::Error(Errc::kLeaseExpired);
      const std::chrono::seconds ttl(response->ttl());
      const auto answered = std::chrono::steady_clock::now();
      due_ = answered + std::chrono::milliseconds(ttl) / 3;
      expires_ = answered + ttl;
      return response;
    }
    const auto& code = response.error().code;
    if (code != StatusCode::kUnavailable && code != StatusCode::kDeadlineExceeded && code != StatusCode::kInternal)
      return response;
    due_ = std::chrono::steady_clock::now() + kPauseAfterFailure;
  }
}

void LeaseKeeper::stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  stopping_.notify_all();
}

bool LeaseKeeper::wait_until(std::chrono::steady_clock::time_point when) {
  std::unique_lock lock(mutex_);
  return !stopping_.wait_until(lock, when, [this] { return stopped_; });
}

}  // namespace etcdpp::client

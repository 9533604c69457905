#include "watch_service.h"

#include <algorithm>

#include "watch_response.h"

namespace etcdpp::server {

namespace {
/// What all streams of a hub may leave unsent together, but for each one's least. A stream over its share has no room: its
/// watchers fall behind instead of filling memory.
constexpr std::size_t kHubBytes = 16 << 20;
constexpr std::size_t kLeastShare = 16 << 10;
constexpr std::size_t kLargestShare = 2 << 20;
/// From here on it catches up; below every share.
constexpr std::size_t kRoomAgainBytes = 8 << 10;
}  // namespace

/// One Watch call.
class WatchStream final : public net::GrpcStream, private mvcc::WatchSink {
 public:
  WatchStream(WatchService& service, net::GrpcCall& call, HubThread& hub)
      : service_(service), call_(call), hub_(hub), stream_(&hub.hub().open(*this, call.executor().now())) {
    call.set_on_writable(kRoomAgainBytes, [this] {
      hub_.hub().on_room(*stream_);
      hub_.schedule();
    });
    hub_.note_stats();
  }
  ~WatchStream() override {
    call_.set_on_writable(0, {});
    hub_.hub().close(*stream_);
    hub_.note_stats();
  }

  void on_message(std::string_view message) override {
    etcdserverpb::WatchRequest request;
    if (!parse_request(request, message, call_)) return;
    const base::Instant begin = service_.member_.clock().now();
    switch (request.request_union_case()) {
      case etcdserverpb::WatchRequest::kCreateRequest: create(request.create_request()); break;
      case etcdserverpb::WatchRequest::kCancelRequest: hub_.hub().cancel(*stream_, request.cancel_request().watch_id()); break;
      case etcdserverpb::WatchRequest::kProgressRequest: hub_.hub().request_progress(*stream_); break;
      case etcdserverpb::WatchRequest::REQUEST_UNION_NOT_SET: return;
    }
    service_.member_.metrics().watch_control.observe(service_.member_.clock().now() - begin);
    hub_.schedule();
  }

 private:
  void create(const etcdserverpb::WatchCreateRequest& request) {
    mvcc::WatchCreate create;
    create.id = request.watch_id();
    static constexpr std::string_view kSmallestKey("\0", 1);
    create.range = mvcc::KeyRange::of(request.key().empty() ? kSmallestKey : std::string_view(request.key()), request.range_end());
    create.start_revision = request.start_revision();
    create.prev_kv = request.prev_kv();
    create.progress_notify = request.progress_notify();
    create.fragment = request.fragment();
    for (const int filter : request.filters()) {
      create.no_put |= filter == etcdserverpb::WatchCreateRequest::NOPUT;
      create.no_delete |= filter == etcdserverpb::WatchCreateRequest::NODELETE;
    }
    hub_.hub().create(*stream_, create);
  }

  std::size_t room() const override {
    const std::size_t share = std::clamp(kHubBytes / hub_.hub().streams(), kLeastShare, kLargestShare);
    const std::size_t pending = call_.pending_send_bytes();
    return pending < share ? share - pending : 0;
  }
  void send(const mvcc::WatchDelivery& delivery) override {
    if (!delivery.fragment || delivery.events.size() < 2) return call_.send_message(encode_watch_response(delivery, header(delivery.revision)));
    const std::size_t limit = service_.member_.config().max_request_bytes + 512 * 1024;
    encode_watch_fragments(delivery, header(delivery.revision), limit, [this](std::string response) { call_.send_message(std::move(response)); });
  }
  /// Encoded once for all watchers of the stream that a revision concerns.
  std::string_view header(std::int64_t revision) {
    const std::uint64_t term = service_.member_.state().term.load(std::memory_order_acquire);
    if (header_.empty() || revision != header_revision_ || term != header_term_) {
      header_.clear();
      service_.append_header(revision, header_);
      header_revision_ = revision;
      header_term_ = term;
    }
    return header_;
  }

  WatchService& service_;
  net::GrpcCall& call_;
  HubThread& hub_;
  mvcc::WatchHub::Stream* stream_;
  std::string header_;
  std::int64_t header_revision_ = 0;
  std::uint64_t header_term_ = 0;
};

WatchService::WatchService(Member& member, std::uint64_t seed) : Service(member), seed_(seed), history_loop_(member) {}
WatchService::~WatchService() = default;

void WatchService::add_thread(net::Executor& thread) {
  mvcc::WatchHubOptions options;
  options.progress_interval = member_.config().effective_watch_progress_notify_interval();
  hubs_[&thread] = std::make_unique<HubThread>(member_, history_loop_, thread, options, seed_++);
}

void WatchService::add_to(net::GrpcServer& server) {
  server.bidi_stream("/etcdserverpb.Watch/Watch", [this](net::GrpcCall& call) {
    return std::make_unique<WatchStream>(*this, call, *hubs_.at(&call.executor()));
  });
}

WatchStats WatchService::stats() const {
  WatchStats stats;
  for (const auto& [thread, hub] : hubs_) hub->add_to(stats);
  return stats;
}

void WatchService::tick() {
  for (auto& [thread, hub] : hubs_) hub->schedule();
}

}  // namespace etcdpp::server

#include "watch_service.h"

#include <etcdpp/mvcc/history_reader.h>
#include <etcdpp/mvcc/range_reader.h>

#include "../apply/requests.h"
#include "watch_response.h"

namespace etcdpp::server {

namespace {
/// A stream with more than this unsent has no room: its watchers fall behind instead of filling memory.
constexpr std::size_t kRoomBytes = 1 << 20;
constexpr std::size_t kRoomAgainBytes = 256 << 10;
}  // namespace

/// The watch hub of one I/O thread, and how it is woken and fed. Everything but on_new_events and read_history's answer
/// runs in that thread.
class HubThread final : public mvcc::EventLog::Listener, public mvcc::WatchStore {
 public:
  HubThread(Member& member, HistoryLoop& history, net::Executor& thread, std::uint64_t seed)
      : member_(member),
        history_(history),
        thread_(thread),
        hub_(options(member), member.event_log(), *this, *this, base::Random(seed)) {}

  mvcc::WatchHub& hub() { return hub_; }
  net::Executor& thread() { return thread_; }

  void step() {
    if (hub_.step(thread_.now())) schedule();
    note_stats();
  }
  void schedule() {
    if (scheduled_.exchange(true)) return;
    thread_.post([this] {
      scheduled_ = false;
      step();
    });
  }
  /// Shows what the hub holds to other threads.
  void note_stats() {
    streams_.store(hub_.streams(), std::memory_order_relaxed);
    watchers_.store(hub_.watchers(), std::memory_order_relaxed);
    lagging_.store(hub_.lagging(), std::memory_order_relaxed);
    events_sent_.store(hub_.events_sent(), std::memory_order_relaxed);
  }
  void add_to(WatchStats& stats) const {
    stats.streams += streams_.load(std::memory_order_relaxed);
    stats.watchers += watchers_.load(std::memory_order_relaxed);
    stats.lagging += lagging_.load(std::memory_order_relaxed);
    stats.events_sent += events_sent_.load(std::memory_order_relaxed);
  }
  void answer(mvcc::HistoryBatch batch) {
    thread_.post([this, batch = std::move(batch)]() mutable {
      hub_.on_history(std::move(batch));
      step();
    });
  }

  void on_new_events() override { schedule(); }
  std::int64_t compact_revision() const override { return member_.views().compact_revision(); }
  std::optional<base::Bytes> value_at(base::BytesView key, std::int64_t revision) override {
    const auto reader = mvcc::RangeReader::open(member_.views());
    if (!reader) return std::nullopt;
    if (!reader->resolve(revision)) return std::nullopt;
    const auto value = reader->get(key, revision);
    if (!value) {
      if (is_fatal(value.error())) member_.failure().report("database cannot be read", value.error());
      return std::nullopt;
    }
    if (!*value) return std::nullopt;
    return base::Bytes(**value);
  }
  void read_history(std::uint64_t ticket, std::int64_t from) override { history_.ask({this, ticket, from}); }

 private:
  static mvcc::WatchHubOptions options(Member& member) {
    mvcc::WatchHubOptions options;
    options.progress_interval = member.config().effective_watch_progress_notify_interval();
    return options;
  }

  Member& member_;
  HistoryLoop& history_;
  net::Executor& thread_;
  mvcc::WatchHub hub_;
  std::atomic<bool> scheduled_{false};
  std::atomic<std::uint64_t> streams_{0}, watchers_{0}, lagging_{0}, events_sent_{0};
};

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
    switch (request.request_union_case()) {
      case etcdserverpb::WatchRequest::kCreateRequest: create(request.create_request()); break;
      case etcdserverpb::WatchRequest::kCancelRequest: hub_.hub().cancel(*stream_, request.cancel_request().watch_id()); break;
      case etcdserverpb::WatchRequest::kProgressRequest: hub_.hub().request_progress(*stream_); break;
      case etcdserverpb::WatchRequest::REQUEST_UNION_NOT_SET: return;
    }
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

  bool has_room() const override { return call_.pending_send_bytes() < kRoomBytes; }
  void send(const mvcc::WatchDelivery& delivery) override {
    const std::size_t limit = service_.member_.config().max_request_bytes + 512 * 1024;
    encode_watch_responses(delivery, service_.header(delivery.revision), limit,
                           [this](std::string response) { call_.send_message(std::move(response)); });
  }

  WatchService& service_;
  net::GrpcCall& call_;
  HubThread& hub_;
  mvcc::WatchHub::Stream* stream_;
};

bool HistoryLoop::step() {
  if (!mailbox_.take(taken_)) return false;
  for (const HistoryRequest& request : taken_) {
    mvcc::HistoryBatch batch;
    batch.ticket = request.ticket;
    batch.covered_to = request.from - 1;
    batch.current_revision = member_.views().revision();
    auto history = mvcc::read_history(member_.views(), request.from);
    if (history) {
      batch.revisions = std::move(history->revisions);
      batch.covered_to = history->covered_to;
      batch.current_revision = history->current_revision;
    } else if (is_fatal(history.error())) {
      member_.failure().report("database cannot be read", history.error());
    }
    request.hub->answer(std::move(batch));
  }
  return true;
}

WatchService::WatchService(Member& member, std::uint64_t seed) : Service(member), seed_(seed), history_loop_(member) {}
WatchService::~WatchService() = default;

void WatchService::add_thread(net::Executor& thread) {
  hubs_[&thread] = std::make_unique<HubThread>(member_, history_loop_, thread, seed_++);
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

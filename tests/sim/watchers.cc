#include "watchers.h"

#include <fmt/format.h>

#include <etcdpp/mvcc/errc.h>
#include <etcdpp/mvcc/history_reader.h>

#include <etcdserverpb/rpc.pb.h>

namespace etcdpp::sim {

/// As a hub that looks at the compact revision once, and a history reader that takes what is left.
class Watchers::LateHub final : public server::HubThread {
 public:
  LateHub(server::Member& member, server::HistoryLoop& history, net::Executor& thread, const mvcc::WatchHubOptions& options, std::uint64_t seed)
      : HubThread(member, history, thread, options, seed), views_(member.views()) {}
  std::int64_t compact_revision() const override { return -1; }
  void read_history(std::uint64_t ticket, std::int64_t from) override {
    const std::int64_t reachable = std::max(from, views_.compact_revision());
    mvcc::HistoryBatch batch;
    batch.ticket = ticket;
    batch.covered_to = from - 1;
    if (auto read = mvcc::read_history(views_, reachable)) {
      batch.revisions = std::move(read->revisions);
      batch.covered_to = read->covered_to;
      batch.current_revision = read->current_revision;
    }
    answer(std::move(batch));
  }

 private:
  const mvcc::Views& views_;
};

/// A stream of one client: what the hub has sent, and the client has not yet read.
class Watchers::Stream final : public mvcc::WatchSink {
 public:
  explicit Stream(std::size_t room) : room_(room) {}
  std::size_t room() const override { return sent.size() < room_ ? 500 : 0; }
  void send(const mvcc::WatchDelivery& delivery) override {
    etcdserverpb::WatchResponse response;
    response.mutable_header()->set_revision(delivery.revision);
    response.set_watch_id(delivery.watch_id);
    response.set_created(delivery.created);
    response.set_canceled(delivery.canceled);
    response.set_compact_revision(delivery.compact_revision);
    response.set_cancel_reason(std::string(delivery.cancel_reason));
    for (const mvcc::WatchEvent& event : delivery.events) {
      mvccpb::Event& added = *response.add_events();
      added.ParseFromArray(event.encoded.data(), static_cast<int>(event.encoded.size()));
      if (!event.prev_kv.empty()) added.mutable_prev_kv()->ParseFromArray(event.prev_kv.data(), static_cast<int>(event.prev_kv.size()));
    }
    sent.push_back(std::move(response));
  }

  std::deque<etcdserverpb::WatchResponse> sent;
  mvcc::WatchHub::Stream* stream = nullptr;  // of this life
  /// By id, as position in the history.
  std::map<std::int64_t, std::size_t> watchers;
  /// Those that a compaction ended: a cancel that was under way then is answered all the same.
  std::set<std::int64_t> ended;
  std::int64_t next_id = 1;
  bool stalled = false;

 private:
  const std::size_t room_;
};

Watchers::Watchers(const Tuning& tuning, base::Random& random, const base::Clock& clock, History& history, Trace& trace, Sabotage sabotage)
    : tuning_(tuning), random_(random), history_(history), trace_(trace), sabotage_(sabotage), thread_(clock) {
  for (std::uint64_t i = 0; i < tuning.watch_streams; ++i) streams_.push_back(std::make_unique<Stream>(1 + random.below(6)));
}

Watchers::~Watchers() = default;

void Watchers::connect(server::Member& member) {
  member_ = &member;
  mvcc::WatchHubOptions options;
  options.progress_interval = std::chrono::milliseconds(700);
  options.revisions_per_batch = tuning_.watch_batch;
  options.revisions_per_round = tuning_.watch_batch * 3;
  options.watchers_per_round = tuning_.watch_batch;
  history_loop_ = std::make_unique<server::HistoryLoop>(member);
  const std::uint64_t seed = random_.next();
  if (sabotage_ == Sabotage::kLateCompaction) hub_ = std::make_unique<LateHub>(member, *history_loop_, thread_, options, seed);
  else hub_ = std::make_unique<server::HubThread>(member, *history_loop_, thread_, options, seed);
  for (auto& stream : streams_) {
    stream->stream = &hub_->hub().open(*stream, thread_.now());
    for (const auto& [id, watcher] : std::exchange(stream->watchers, {})) resume(*stream, watcher);
  }
}

void Watchers::disconnect() {
  // What was under way belongs to the hub, which goes first.
  thread_.drop();
  hub_.reset();
  history_loop_.reset();
  for (auto& stream : streams_) {
    stream->sent.clear();
    stream->ended.clear();
    stream->stream = nullptr;
  }
  member_ = nullptr;
}

void Watchers::tick() {
  if (hub_) hub_->schedule();
}

void Watchers::step() {
  switch (random_.below(6)) {
    case 0:
    case 1: thread_.step(); break;
    case 2: history_loop_->step(); break;
    default: act(*streams_[random_.below(streams_.size())]);
  }
}

void Watchers::act(Stream& stream) {
  switch (random_.below(12)) {
    case 0:
      if (stream.watchers.size() < 6) create(stream);
      break;
    case 1:
      if (stream.watchers.empty() || !random_.one_in(6)) break;
      {
        auto at = stream.watchers.begin();
        std::advance(at, static_cast<std::ptrdiff_t>(random_.below(stream.watchers.size())));
        hub_->hub().cancel(*stream.stream, at->first);
      }
      break;
    case 2: {
      if (sabotage_ != Sabotage::kEarlyProgress) {
        hub_->hub().request_progress(*stream.stream);
        break;
      }
      if (!stream.watchers.empty()) stream.send({.watch_id = mvcc::kNoWatchId, .revision = member_->views().revision()});
      break;
    }
    case 3: stream.stalled = random_.one_in(3); break;
    default:
      if (!stream.stalled) read(stream);
  }
}

void Watchers::create(Stream& stream) {
  Watch watch;
  watch.key = fmt::format("k{:03}", random_.below(tuning_.keys));
  switch (random_.below(5)) {
    case 0: watch.range_end = std::string(1, '\0'); break;
    case 1: watch.range_end = "k~"; break;
    case 2: watch.range_end = watch.key + "1"; break;
  }
  watch.prev_kv = random_.one_in(3);
  watch.no_put = random_.one_in(6);
  watch.no_delete = random_.one_in(6);
  watch.progress_notify = random_.one_in(2);
  if (random_.one_in(2)) watch.next = static_cast<std::int64_t>(1 + random_.below(static_cast<std::uint64_t>(history_.highest_revision) + 3));
  history_.watches.push_back(std::move(watch));
  resume(stream, history_.watches.size() - 1);
}

void Watchers::resume(Stream& stream, std::size_t number) {
  const Watch& watch = history_.watches[number];
  const std::int64_t id = stream.next_id++;
  stream.watchers[id] = number;
  trace_.line(fmt::format("watch {} from {}: {} to {}", number, watch.next, watch.key, watch.range_end.empty() ? "itself" : "there"));
  hub_->hub().create(*stream.stream, {.id = id,
                                      .range = mvcc::KeyRange::of(watch.key, watch.range_end),
                                      .start_revision = watch.next,
                                      .prev_kv = watch.prev_kv,
                                      .no_put = watch.no_put,
                                      .no_delete = watch.no_delete,
                                      .progress_notify = watch.progress_notify});
  hub_->schedule();
}

bool Watchers::read(Stream& stream) {
  if (stream.sent.empty()) return false;
  const etcdserverpb::WatchResponse response = std::move(stream.sent.front());
  stream.sent.pop_front();
  hub_->hub().on_room(*stream.stream);
  hub_->schedule();
  const std::int64_t revision = response.header().revision();
  trace_.line(fmt::format("watch answer for {} at {}: {} events{}{}", response.watch_id(), revision, response.events_size(),
                          response.created() ? " created" : "", response.canceled() ? " canceled" : ""));
  if (response.watch_id() == mvcc::kNoWatchId) {
    for (const auto& [id, number] : stream.watchers) history_.watches[number].told(revision);
    return true;
  }
  if (response.canceled() && response.compact_revision() == 0 && stream.ended.erase(response.watch_id()) != 0) return true;
  const auto at = stream.watchers.find(response.watch_id());
  if (at == stream.watchers.end()) {
    history_.watch_faults.push_back(fmt::format("watch: an answer for {}, which nobody has asked for or which has ended", response.watch_id()));
    return true;
  }
  Watch& watch = history_.watches[at->second];
  if (response.created()) {
    // From now on; what comes next was not there yet.
    if (watch.next == 0) watch.first = watch.next = revision + 1;
    else if (watch.first == 0) watch.first = watch.next;
    return true;
  }
  if (response.canceled()) {
    watch.compacted = response.compact_revision();
    watch.over = true;
    if (watch.compacted != 0) stream.ended.insert(at->first);
    stream.watchers.erase(at);
    return true;
  }
  history_.saw(revision);
  if (response.events().empty()) {
    watch.told(revision);
    return true;
  }
  for (const mvccpb::Event& event : response.events()) {
    const std::int64_t main = event.kv().mod_revision();
    if (main < watch.next)
      history_.watch_faults.push_back(fmt::format("watch {}: revision {} when everything below {} had been sent", at->second, main, watch.next));
    watch.events.push_back(event);
  }
  // A revision comes whole.
  const std::int64_t last = watch.events.back().kv().mod_revision();
  if (revision < last) history_.watch_faults.push_back(fmt::format("watch {}: header {} behind its event of {}", at->second, revision, last));
  watch.told(last);
  return true;
}

bool Watchers::settle() {
  const auto behind = [&](const std::unique_ptr<Stream>& stream) {
    return std::ranges::any_of(stream->watchers, [&](const auto& item) { return history_.watches[item.second].next <= member_->views().revision(); });
  };
  // A watcher that starts in the future keeps its stream from being told of progress.
  for (auto& stream : streams_)
    for (const auto& [id, number] : stream->watchers)
      if (history_.watches[number].next > member_->views().revision()) hub_->hub().cancel(*stream->stream, id);
  for (int i = 0; i < 5'000; ++i) {
    bool did = thread_.step();
    did |= history_loop_->step();
    for (auto& stream : streams_) did |= read(*stream);
    if (did) continue;
    bool done = true;
    for (auto& stream : streams_) {
      if (!behind(stream)) continue;
      done = false;
      hub_->hub().request_progress(*stream->stream);
    }
    if (done) return true;
  }
  trace_.line(fmt::format("watchers: {} lagging, cursor {}, {} tasks", hub_->hub().lagging(), hub_->hub().cursor(), thread_.waiting()));
  return false;
}

}  // namespace etcdpp::sim

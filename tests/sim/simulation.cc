#include "simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <type_traits>

#include "checkers/checkers.h"
#include "replay.h"

namespace etcdpp::sim {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr base::Duration kTick = milliseconds(100);
/// Steps within which a member must be ready, or settle.
constexpr int kPatience = 20'000;

/// The member's log lines beside the trace; not in its hash, for they name directories.
class PrintedLog final : public base::Logger {
 public:
  explicit PrintedLog(bool print) : print_(print) {}
  bool enabled(base::LogLevel level) const override { return print_ && level != base::LogLevel::kDebug; }
  void write(base::LogLevel, std::string_view, std::string_view message, std::initializer_list<base::LogField> fields,
             std::source_location) override {
    if (!print_) return;
    std::string line(message);
    for (const base::LogField& field : fields)
      std::visit(
          [&](const auto& value) {
            if constexpr (!std::is_same_v<std::decay_t<decltype(value)>, std::vector<std::string>>) line += fmt::format(" {}={}", field.name, value);
          },
          field.value);
    std::printf("    | %s\n", line.c_str());
  }

 private:
  const bool print_;
};

}  // namespace

Simulation::Simulation(const Options& options)
    : options_(options),
      trace_(options.print),
      random_(options.seed),
      tuning_(random_),
      disk_(random_.next(), options.directory, trace_),
      logger_(std::make_unique<PrintedLog>(options.print)),
      executor_(clock_),
      clients_(tuning_, random_, executor_, history_, trace_),
      watchers_(tuning_, random_, clock_, history_, trace_,
                options.sabotage == Sabotage::kLateCompaction  ? Watchers::Sabotage::kLateCompaction
                : options.sabotage == Sabotage::kEarlyProgress ? Watchers::Sabotage::kEarlyProgress
                                                               : Watchers::Sabotage::kNone) {
  config_.data_dir = options.directory + "/data";
  config_.heartbeat_interval = milliseconds(100);
  config_.snapshot_count = tuning_.snapshot_count;
  config_.snapshot_catchup_entries = tuning_.snapshot_catchup_entries;
  config_.backend_batch_interval = tuning_.batch_interval;
  config_.backend_batch_limit = tuning_.batch_limit;
  config_.compaction_batch_limit = tuning_.compaction_batch_limit;
  config_.max_wals = 1;
  config_.max_snapshots = 1;
}

Simulation::~Simulation() = default;

void Simulation::violate(std::string what) {
  trace_.line("VIOLATION " + what);
  outcome_.violations.push_back(std::move(what));
}

Simulation::Outcome Simulation::run() {
  for (std::uint64_t n = 0; n <= tuning_.lives && outcome_.violations.empty(); ++n) {
    const bool last = n == tuning_.lives;
    const Life life(random_, last);
    trace_.line(fmt::format("life {}: ends {}, steps {}, last call {}, failing call {}", n, static_cast<int>(life.end), life.steps,
                            life.last_call, life.failing_call));
    if (life.last_call != 0) disk_.lose_power_at_call(life.last_call);
    if (life.failing_call != 0) disk_.fail_call(life.failing_call);
    ++outcome_.lives;
    if (open() && recover()) {
      sabotage();
      serve(life);
      if (last && outcome_.violations.empty()) settle();
    }
    die(life);
  }
  // Once more, after everything that a stop left unsynced is lost.
  if (outcome_.violations.empty()) {
    disk_.restart(Disk::Restart::kPowerLost, test::FaultEnv::Loss::kAll);
    if (open()) recover();
    clients_.disconnect();
    watchers_.disconnect();
    member_.reset();
  }
  outcome_.hash = trace_.hash();
  outcome_.calls = disk_.calls();
  outcome_.writes = history_.writes.size();
  outcome_.acknowledged = static_cast<std::uint64_t>(std::ranges::count_if(history_.writes, &Write::answered));
  outcome_.reads = history_.reads.size();
  outcome_.watches = history_.watches.size();
  for (const Watch& watch : history_.watches) {
    outcome_.events += watch.events.size();
    outcome_.compacted_watches += watch.compacted != 0 ? 1 : 0;
  }
  return outcome_;
}

// Not from the first start on: a member that never gets to its feet would be found too easily.
void Simulation::sabotage() {
  switch (options_.sabotage) {
    case Sabotage::kNone: return;
    case Sabotage::kUnsyncedLog: config_.unsafe_no_fsync = true; return;
    case Sabotage::kUnsyncedDatabase: disk_.ignore_database_syncs(); return;
    case Sabotage::kLateCompaction:
    case Sabotage::kEarlyProgress: return;  // the watchers' own
  }
}

bool Simulation::open() {
  server::Member::Options options{.config = config_,
                                  .env = disk_,
                                  .clock = clock_,
                                  .logger = *logger_,
                                  .seed = random_.next(),
                                  .on_failure = [](const base::Error&) {},
                                  .wake_core = [] {},
                                  .wake_commit = [] {},
                                  .on_ready = {},
                                  .wal_segment_size = tuning_.segment_size,
                                  .event_log = {.max_bytes = 4 * tuning_.event_log_bytes, .history_bytes = tuning_.event_log_bytes}};
  auto opened = server::Member::open(std::move(options));
  if (!opened) {
    trace_.line("member does not open");
    if (!disk_.has_failed()) violate("the member does not open: " + opened.error().message());
    return false;
  }
  member_ = std::move(*opened);
  member_->commit_loop().set_copy_pace({.slice_bytes = tuning_.copy_bytes, .log_is_slow = {}});
  clients_.connect(*member_);
  watchers_.connect(*member_);
  next_tick_ = clock_.now() + kTick;
  return true;
}

bool Simulation::alive() {
  if (const auto error = member_->failure().error()) {
    trace_.line("member failed");
    if (!disk_.has_failed()) violate("the member failed and the disk had not: " + error->message());
    return false;
  }
  return !disk_.is_off();
}

void Simulation::advance(base::Duration by) {
  clock_.advance(by);
  if (clock_.now() < next_tick_) return;
  // As the timer does: a member that slept for long is not given all its ticks at once.
  next_tick_ = std::max(next_tick_ + kTick, clock_.now());
  member_->tick();
  watchers_.tick();
  member_->apply_loop().post([this](server::ApplyLoop& loop) { observe_leases(loop.state().lessor); });
}

void Simulation::defragment() {
  member_->backend().defragment([this](base::Result<backend::Defragmented> done) {
    trace_.line(done ? fmt::format("generation {}: {} rows", done->generation, done->rows) : "defragmentation: " + done.error().message());
    if (done) ++outcome_.defragmentations;
    else if (!disk_.has_failed() && done.error().code != backend::Errc::kCancelled) violate("defragmentation failed: " + done.error().message());
  });
}

void Simulation::observe_leases(const lease::Lessor& lessor) {
  std::vector<lease::LeaseId> now = lessor.leases();
  std::ranges::sort(now);
  for (const lease::LeaseId id : leases_) {
    if (std::ranges::binary_search(now, id)) continue;
    trace_.line(fmt::format("lease {} is gone", id));
    check_lease_end({id, clock_.now()}, history_, [this](std::string what) { violate(std::move(what)); });
  }
  leases_ = std::move(now);
}

void Simulation::step_loop(unsigned which) {
  answers_before_step_ = executor_.waiting();
  const auto watch = [this](std::string_view loop, const base::Result<bool>& stepped) {
    if (!stepped) member_->failure().report(loop, stepped.error());
  };
  switch (which) {
    case 0: member_->step_core(); break;
    case 1: watch("write-ahead log failed", member_->wal_loop().step()); break;
    case 2: watch("database commit failed", member_->commit_loop().step()); break;
    case 3: member_->preallocator().step(); break;
  }
}

bool Simulation::recover() {
  for (int i = 0; i < kPatience; ++i) {
    if (member_->state().published && member_->apply_loop().applied_index() == member_->state().committed) {
      check();
      return outcome_.violations.empty();
    }
    step_loop(static_cast<unsigned>(random_.below(4)));
    if (!alive()) return false;
    if (random_.one_in(4)) advance(base::Duration(random_.below(1'000'000)));
  }
  violate("the member is not ready after " + std::to_string(kPatience) + " steps");
  return false;
}

bool Simulation::step(const Life& life, bool asking) {
  const std::array<std::uint64_t, 8> weights = {life.core_weight,   life.wal_weight, life.commit_weight, life.preallocator_weight,
                                                life.answer_weight, asking ? life.request_weight : 0, life.clock_weight, life.watch_weight};
  std::uint64_t total = 0;
  for (const std::uint64_t w : weights) total += w;
  std::uint64_t at = random_.below(total);
  unsigned which = 0;
  while (at >= weights[which]) at -= weights[which++];
  switch (which) {
    case 4: executor_.step(); break;
    case 5: clients_.ask(); break;
    case 6:
      advance(base::Duration(random_.below(static_cast<std::uint64_t>(life.longest_pause.count()))));
      if (random_.one_in(tuning_.defragment_one_in)) defragment();
      if (random_.one_in(200)) member_->backend().cancel_defragment();
      if (random_.one_in(50)) {
        // What is purged must have been seen.
        bool seen = false;
        disk_.observe([&](base::Env& env) { seen = log_.read(env, config_.effective_wal_dir()).has_value(); });
        if (seen) member_->purge();
      }
      break;
    case 7: watchers_.step(); break;
    default: step_loop(which);
  }
  return alive() && outcome_.violations.empty();
}

void Simulation::serve(const Life& life) {
  for (std::uint64_t i = 0; i < life.steps; ++i) {
    const bool asking = clients_.asked() < tuning_.requests;
    if (!asking && clients_.idle() && random_.one_in(100)) return;
    if (!step(life, asking)) return;
  }
}

void Simulation::settle() {
  // Everybody is answered…
  for (int i = 0; !clients_.idle(); ++i) {
    if (i > kPatience) return violate("a client has no answer after " + std::to_string(kPatience) + " steps");
    step_loop(static_cast<unsigned>(i % 4));
    executor_.step();
    if (i % 8 == 0) advance(milliseconds(20));
    if (!alive()) return;
  }
  // … every lease runs out…
  for (int i = 0; i < 1'200; ++i) {
    advance(kTick);
    for (unsigned which = 0; which < 3; ++which) step_loop(which);
    if (!alive()) return;
  }
  // … every watcher is told everything…
  if (!watchers_.settle()) violate("watchers do not come to their end");
  if (!leases_.empty()) violate(fmt::format("{} leases have not ended long after their time", leases_.size()));
  // … and nothing more happens.
  check();
}

void Simulation::check() {
  const Report report = [this](std::string what) { violate(std::move(what)); };
  ++outcome_.recoveries;
  base::Result<> read;
  disk_.observe([&](base::Env& env) { read = log_.read(env, config_.effective_wal_dir()); });
  if (!read) return report("the log cannot be read: " + read.error().message());
  check_log(log_, history_, report);
  const std::int64_t min_ttl = member_->apply_loop().state().lessor.min_ttl_seconds();
  const auto replay = Replay::of(log_.entries(), member_->apply_loop().applied_index(), min_ttl);
  if (!replay) return report("the log cannot be replayed: " + replay.error().message());
  check_acknowledged(*replay, history_, report);
  check_reads(*replay, history_, report);
  check_watches(*replay, history_, report);
  check_hashes(*member_, *replay, history_, report);
  check_state(*member_, *replay, report);
  check_buckets(*member_, report);
  trace_.line(fmt::format("checked: index {}, revision {}, {} of {} writes answered, {} leases", log_.entries().size(),
                          replay->model.revision(),
                          std::ranges::count_if(history_.writes, &Write::answered), history_.writes.size(), replay->model.leases().size()));
}

void Simulation::die(const Life& life) {
  if (member_) {
    if (life.end == Life::End::kStopped && alive()) {
      member_->stop();
      for (int i = 0; i < 100 && alive(); ++i) step_loop(static_cast<unsigned>(i % 3));
      answers_before_step_ = executor_.waiting();
    }
    history_.applied_index = std::max<std::uint64_t>(history_.applied_index, member_->state().applied);
    // Some answers still get out; not those of the step within which the power went.
    const std::size_t leaving = disk_.is_off() ? answers_before_step_ : executor_.waiting();
    for (std::size_t i = random_.below(leaving + 1); i > 0; --i) executor_.step();
  }
  clients_.disconnect();
  watchers_.disconnect();
  if (life.end == Life::End::kPowerLost) disk_.lose_power_now();
  executor_.drop();
  member_.reset();
  clock_.advance(milliseconds(5 + random_.below(3'000)));
  const bool off = life.end == Life::End::kPowerLost || disk_.is_off();
  static constexpr test::FaultEnv::Loss kLosses[] = {test::FaultEnv::Loss::kRandom, test::FaultEnv::Loss::kRandom,
                                                     test::FaultEnv::Loss::kAll, test::FaultEnv::Loss::kNone};
  const auto loss = kLosses[random_.below(4)];
  trace_.line(off ? "power comes back" : "the process starts again");
  disk_.restart(off ? Disk::Restart::kPowerLost : Disk::Restart::kProcessKilled, loss);
}

}  // namespace etcdpp::sim

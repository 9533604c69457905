#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <etcdpp/base/clock.h>
#include <etcdpp/base/random.h>
#include <etcdpp/config/config.h>

#include <member.h>

#include "clients.h"
#include "disk.h"
#include "durable_log.h"
#include "executor.h"
#include "history.h"
#include "trace.h"
#include "tuning.h"
#include "watchers.h"

namespace etcdpp::sim {

/// One run of a whole member from a seed, in one thread: several lives that each end by power loss, kill or stop, with
/// clients all the while, and what was promised held against what is there after each start.
class Simulation {
 public:
  /// A way to break the member that a run must find.
  enum class Sabotage { kNone, kUnsyncedLog, kUnsyncedDatabase, kLateCompaction, kEarlyProgress };
  struct Options {
    std::uint64_t seed = 0;
    /// For the database's real file; the run's own, deleted at its end.
    std::string directory;
    bool print = false;
    Sabotage sabotage = Sabotage::kNone;
  };
  struct Outcome {
    std::uint64_t hash = 0;
    std::vector<std::string> violations;
    std::uint64_t calls = 0;
    std::uint64_t writes = 0;
    std::uint64_t acknowledged = 0;
    std::uint64_t reads = 0;
    std::uint64_t watches = 0;
    std::uint64_t events = 0;
    std::uint64_t compacted_watches = 0;
    std::uint64_t lives = 0;
    std::uint64_t recoveries = 0;
    std::uint64_t defragmentations = 0;
  };

  explicit Simulation(const Options& options);
  ~Simulation();
  Outcome run();

 private:
  bool open();
  /// True when the member serves and has been checked.
  bool recover();
  void serve(const Life& life);
  void settle();
  void sabotage();
  void die(const Life& life);
  /// One step of one loop. False when this life is over.
  bool step(const Life& life, bool asking);
  void step_loop(unsigned which);
  void advance(base::Duration by);
  bool alive();
  void check();
  void defragment();
  void observe_leases(const lease::Lessor& lessor);
  void violate(std::string what);

  const Options options_;
  Trace trace_;
  base::Random random_;
  const Tuning tuning_;
  base::ManualClock clock_;
  base::Instant next_tick_{};
  Disk disk_;
  config::Config config_;
  std::unique_ptr<base::Logger> logger_;
  Executor executor_;
  History history_;
  DurableLog log_;
  Clients clients_;
  Watchers watchers_;
  std::unique_ptr<server::Member> member_;
  std::vector<lease::LeaseId> leases_;
  std::size_t answers_before_step_ = 0;
  Outcome outcome_;
};

}  // namespace etcdpp::sim

// etcdpp_store_crashes: the power goes at every call of a disk in turn, and at random ones for long; README.md.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include <etcdpp/base/random.h>
#include <sim/disk.h>

#include "store_run.h"
#include "support/campaign.h"

namespace {

using namespace etcdpp;
using store_test::StoreRun;

/// The simulator's disk, with a moment at which it loses power; and again so often, if at all.
class SimulatedMachine final : public store_test::Machine {
 public:
  SimulatedMachine(std::uint64_t seed, const std::string& directory, std::uint64_t first_loss, std::uint64_t again_within)
      : trace_(false), disk_(seed, directory, trace_), random_(seed), again_within_(again_within) {
    // The directories are there and synced before the member opens its database.
    disk_.observe([&](base::Env& env) {
      (void)env.make_directories(directory + "/data/member");
      for (const char* below : {"", "/data"}) (void)env.sync_directory(directory + below);
    });
    disk_.lose_power_at_call(first_loss);
  }
  base::Env& env() override { return disk_; }
  bool has_lost_power() const override { return disk_.is_off(); }
  void restart() override {
    using Loss = test::FaultEnv::Loss;
    static constexpr Loss kLosses[] = {Loss::kAll, Loss::kRandom, Loss::kRandom, Loss::kNone};
    disk_.restart(random_.one_in(8) ? sim::Disk::Restart::kProcessKilled : sim::Disk::Restart::kPowerLost, kLosses[random_.below(4)]);
    if (again_within_ != 0) disk_.lose_power_at_call(random_.below(again_within_));
  }
  sim::Disk& disk() { return disk_; }

 private:
  sim::Trace trace_;
  sim::Disk disk_;
  base::Random random_;
  const std::uint64_t again_within_;
};

constexpr std::uint64_t kNever = std::uint64_t{1} << 40;

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::uint64_t> arguments{{"--scripts", 1}, {"--seeds", 2}, {"--operations", 4'000}, {"--from", 1}, {"--call", kNever}, {"--without-syncs", 0}};
  if (!test::read_numbers(argc, argv, arguments)) {
    std::fputs("usage: etcdpp_store_crashes [--scripts 1 (power lost at each call of so many)] [--seeds 2] [--operations 4000] [--from 1]\n"
               "       etcdpp_store_crashes --scripts 1 --seeds 0 --from N --call N      one loss\n"
               "       --without-syncs 1: the database's syncs do nothing, which must be found: exit code 0 if it was\n", stderr);
    return 2;
  }
  const std::string home = test::campaign_home("crashes");
  const auto begun = std::chrono::steady_clock::now();
  const auto n = [](std::uint64_t v) { return static_cast<unsigned long long>(v); };
  StoreRun::Counts sum;
  std::uint64_t losses = 0;
  bool fine = true;
  const std::uint64_t from = arguments["--from"], only = arguments["--call"];
  const bool without_syncs = arguments["--without-syncs"] != 0;

  for (std::uint64_t seed = from; seed < from + arguments["--scripts"] && fine; ++seed) {
    // As many calls as there are when nothing is lost; a loss changes nothing before it.
    std::uint64_t calls = 1;
    for (std::uint64_t at = only == kNever ? 0 : only; at < (only == kNever ? calls : only + 1) && fine; ++at) {
      SimulatedMachine machine(seed, home, at == 0 ? kNever : at - 1, 0);
      if (without_syncs) machine.disk().ignore_database_syncs();
      StoreRun run(seed, home + "/data", &machine);
      fine = run.run_script();
      if (at == 0) calls = machine.disk().calls() + 1;
      else ++losses;
      if (!fine)
        std::printf("script %llu, power lost at call %llu: %s\n  see it again: etcdpp_store_crashes --scripts 1 --seeds 0 --from %llu --call %llu\n", n(seed), n(at),
                    run.failure().c_str(), n(seed), n(at));
      sum.add(run.counts());
    }
  }
  for (std::uint64_t seed = from; seed < from + arguments["--seeds"] && fine; ++seed) {
    base::Random random(seed);
    const std::uint64_t within = 10 + random.below(120);
    SimulatedMachine machine(seed, home, random.below(within), within);
    if (without_syncs) machine.disk().ignore_database_syncs();
    StoreRun run(seed, home + "/data", &machine);
    fine = run.run(arguments["--operations"]);
    if (!fine)
      std::printf("seed %llu: %s\n  see it again: etcdpp_store_crashes --scripts 0 --seeds 1 --from %llu --operations %llu\n", n(seed), run.failure().c_str(), n(seed),
                  n(arguments["--operations"]));
    sum.add(run.counts());
  }
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  std::printf("%llu calls at which the power went in turn, %llu restarts in all, %llu operations, %llu compactions (%llu jobs seen to their end), %llu defragmentations, "
              "%llu hashes, in %.1f s%s\n",
              n(losses), n(sum.crashes), n(sum.operations), n(sum.compactions), n(sum.jobs), n(sum.defragmentations), n(sum.hashes), took,
              fine ? "" : "; NOT all equal to the model");
  return fine != without_syncs ? 0 : 1;
}

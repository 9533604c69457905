// etcdpp_sim: runs of the simulator; tests/sim/README.md says what it does.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "simulation.h"
#include "support/campaign.h"

namespace {

using etcdpp::sim::Simulation;

constexpr std::string_view kUsage =
    "usage: etcdpp_sim [--seeds N] [--from S] [--stride K] [--verify-every K] [--without-sync log|database] [--watch-bug compaction|progress] [--expect-violation]\n"
    "       etcdpp_sim --seed S        one run, its trace printed\n"
    "  --seeds N           runs N seeds (200), S, S + K, S + 2K... (1, 1)\n"
    "  --verify-every K    runs every K-th seed twice: both traces must be the same (10; 0: none)\n"
    "  --without-sync W    a member that does not sync its log, or its database\n"
    "  --watch-bug B       watchers that miss what a compaction took, or are told of progress too early\n"
    "  --expect-violation  success is to find one\n";

struct Arguments {
  std::uint64_t seeds = 200;
  std::uint64_t from = 1;
  std::uint64_t stride = 1;
  std::uint64_t verify_every = 10;
  bool one = false;
  bool expect_violation = false;
  Simulation::Sabotage sabotage = Simulation::Sabotage::kNone;
};

[[noreturn]] void refuse(std::string_view what) {
  std::fprintf(stderr, "etcdpp_sim: %.*s\n%.*s", static_cast<int>(what.size()), what.data(), static_cast<int>(kUsage.size()), kUsage.data());
  std::exit(2);
}

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--expect-violation") {
      arguments.expect_violation = true;
      continue;
    }
    if (++i == argc) refuse(std::string(name) + " needs a value, or is no flag");
    const std::string value = argv[i];
    if (name == "--without-sync") {
      if (value == "log") arguments.sabotage = Simulation::Sabotage::kUnsyncedLog;
      else if (value == "database") arguments.sabotage = Simulation::Sabotage::kUnsyncedDatabase;
      else refuse("--without-sync log|database");
      continue;
    }
    if (name == "--watch-bug") {
      if (value == "compaction") arguments.sabotage = Simulation::Sabotage::kLateCompaction;
      else if (value == "progress") arguments.sabotage = Simulation::Sabotage::kEarlyProgress;
      else refuse("--watch-bug compaction|progress");
      continue;
    }
    char* end = nullptr;
    const std::uint64_t number = std::strtoull(value.c_str(), &end, 10);
    if (*end != '\0' || value.empty()) refuse("no number: " + value);
    if (name == "--seeds") arguments.seeds = number;
    else if (name == "--from") arguments.from = number;
    else if (name == "--stride") arguments.stride = number;
    else if (name == "--verify-every") arguments.verify_every = number;
    else if (name == "--seed") arguments.one = true, arguments.from = number, arguments.seeds = 1, arguments.verify_every = 0;
    else refuse("no flag: " + std::string(name));
  }
  return arguments;
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  const std::string home = etcdpp::test::campaign_home("sim");
  const auto began = std::chrono::steady_clock::now();
  Simulation::Outcome sum;
  std::uint64_t runs = 0, twice = 0, found = 0;
  bool unstable = false;
  for (std::uint64_t n = 0; n < arguments.seeds; ++n) {
    const std::uint64_t seed = arguments.from + n * arguments.stride;
    const auto run = [&] { return Simulation({.seed = seed, .directory = home, .print = arguments.one, .sabotage = arguments.sabotage}).run(); };
    const Simulation::Outcome outcome = run();
    ++runs;
    sum.calls += outcome.calls;
    sum.writes += outcome.writes;
    sum.acknowledged += outcome.acknowledged;
    sum.reads += outcome.reads;
    sum.watches += outcome.watches;
    sum.events += outcome.events;
    sum.compacted_watches += outcome.compacted_watches;
    sum.lives += outcome.lives;
    sum.recoveries += outcome.recoveries;
    sum.defragmentations += outcome.defragmentations;
    if (!outcome.violations.empty()) {
      ++found;
      std::printf("seed %llu:\n", static_cast<unsigned long long>(seed));
      for (std::size_t i = 0; i < outcome.violations.size() && i < 5; ++i) std::printf("  %s\n", outcome.violations[i].c_str());
      std::printf("  see it again: etcdpp_sim --seed %llu\n", static_cast<unsigned long long>(seed));
      std::fflush(stdout);
      if (arguments.expect_violation) break;
      if (found >= 10) break;
    }
    if (arguments.verify_every != 0 && n % arguments.verify_every == 0) {
      ++twice;
      if (run().hash != outcome.hash) {
        unstable = true;
        std::printf("seed %llu: the second run differs from the first\n", static_cast<unsigned long long>(seed));
      }
    }
  }
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  std::printf("%llu seeds (%llu of them twice) in %.1f s: %llu lives, %llu starts checked, %llu writes (%llu answered), %llu reads, %llu defragmentations, %llu watchers (%llu events, %llu ended by a compaction), %llu calls to the disk; %llu with violations\n",
              static_cast<unsigned long long>(runs), static_cast<unsigned long long>(twice), took, static_cast<unsigned long long>(sum.lives),
              static_cast<unsigned long long>(sum.recoveries), static_cast<unsigned long long>(sum.writes),
              static_cast<unsigned long long>(sum.acknowledged), static_cast<unsigned long long>(sum.reads), static_cast<unsigned long long>(sum.defragmentations),
              static_cast<unsigned long long>(sum.watches), static_cast<unsigned long long>(sum.events),
              static_cast<unsigned long long>(sum.compacted_watches), static_cast<unsigned long long>(sum.calls), static_cast<unsigned long long>(found));
  if (arguments.expect_violation) return found > 0 ? 0 : 1;
  return found == 0 && !unstable ? 0 : 1;
}

// etcdpp_store_model: seeds of the model-based test; README.md says what it does.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "store_run.h"
#include "support/campaign.h"

namespace {

using etcdpp::store_test::StoreRun;

constexpr const char* kUsage = "usage: etcdpp_store_model [--seeds 100] [--from 1] [--operations 100000] [--jobs <processors>]\n";

struct Arguments {
  std::uint64_t seeds, from, operations, jobs;
};

/// The seeds of one process: every `jobs`-th.
bool run(const Arguments& arguments, std::uint64_t job) {
  const auto begun = std::chrono::steady_clock::now();
  StoreRun::Counts sum;
  bool fine = true;
  std::uint64_t seeds = 0;
  for (std::uint64_t n = job; n < arguments.seeds; n += arguments.jobs, ++seeds) {
    const std::uint64_t seed = arguments.from + n;
    StoreRun run(seed, etcdpp::test::campaign_home("store"));
    if (!run.run(arguments.operations)) {
      fine = false;
      std::printf("seed %llu: %s\n  see it again: etcdpp_store_model --seeds 1 --from %llu --operations %llu\n", static_cast<unsigned long long>(seed),
                  run.failure().c_str(), static_cast<unsigned long long>(seed), static_cast<unsigned long long>(arguments.operations));
    }
    sum.add(run.counts());
  }
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  const auto n = [](std::uint64_t v) { return static_cast<unsigned long long>(v); };
  std::printf("%llu seeds in %.1f s: %llu operations (%llu reads beside those in transactions), %llu compactions (%llu jobs seen to their end), %llu defragmentations, "
              "%llu restarts, %llu crashes, %llu hashes%s\n",
              n(seeds), took, n(sum.operations), n(sum.reads), n(sum.compactions), n(sum.jobs), n(sum.defragmentations), n(sum.restarts), n(sum.crashes), n(sum.hashes),
              fine ? "" : "; NOT all equal to the model");
  std::fflush(stdout);
  return fine;
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::uint64_t> numbers{
      {"--seeds", 100}, {"--from", 1}, {"--operations", 100'000}, {"--jobs", std::clamp(std::thread::hardware_concurrency(), 1u, 8u)}};
  if (!etcdpp::test::read_numbers(argc, argv, numbers)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  const std::uint64_t seeds = numbers["--seeds"];
  const Arguments arguments{.seeds = seeds, .from = numbers["--from"], .operations = numbers["--operations"],
                            .jobs = std::max<std::uint64_t>(1, std::min(numbers["--jobs"], seeds))};
  std::vector<pid_t> children;
  for (std::uint64_t job = 1; job < arguments.jobs; ++job) {
    const pid_t child = ::fork();
    if (child == 0) std::_Exit(run(arguments, job) ? 0 : 1);
    if (child < 0) return 3;
    children.push_back(child);
  }
  bool fine = run(arguments, 0);
  for (const pid_t child : children) {
    int status = 0;
    fine &= ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  return fine ? 0 : 1;
}

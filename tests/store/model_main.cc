// etcdpp_store_model: seeds of the model-based test; README.md says what it does.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "store_run.h"

namespace {

using etcdpp::store_test::StoreRun;

constexpr const char* kUsage = "usage: etcdpp_store_model [--seeds 100] [--from 1] [--operations 100000] [--jobs <processors>]\n";

std::string home() {
  // In memory where that can be had: nothing here depends on a disk.
  std::error_code failed;
  const std::filesystem::path shared = "/dev/shm";
  const auto base = std::filesystem::is_directory(shared, failed) && ::access(shared.c_str(), W_OK) == 0 ? shared : std::filesystem::temp_directory_path();
  return (base / ("etcdpp_store." + std::to_string(::getpid()))).string();
}

struct Arguments {
  std::uint64_t seeds = 100, from = 1, operations = 100'000;
  std::uint64_t jobs = std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
};

bool parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    char* end = nullptr;
    const std::uint64_t value = i + 1 < argc ? std::strtoull(argv[i + 1], &end, 10) : 0;
    if (!end || *end != '\0' || end == argv[i + 1]) return false;
    if (name == "--seeds") arguments.seeds = value;
    else if (name == "--from") arguments.from = value;
    else if (name == "--operations") arguments.operations = value;
    else if (name == "--jobs") arguments.jobs = std::max<std::uint64_t>(1, value);
    else return false;
  }
  return true;
}

/// The seeds of one process: every `jobs`-th.
bool run(const Arguments& arguments, std::uint64_t job) {
  const auto begun = std::chrono::steady_clock::now();
  StoreRun::Counts sum;
  bool fine = true;
  std::uint64_t seeds = 0;
  for (std::uint64_t n = job; n < arguments.seeds; n += arguments.jobs, ++seeds) {
    const std::uint64_t seed = arguments.from + n;
    StoreRun run(seed, home());
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
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  arguments.jobs = std::max<std::uint64_t>(1, std::min(arguments.jobs, arguments.seeds));
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

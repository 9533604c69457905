#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <etcdpp/base/random.h>
#include <etcdpp/wal/wal.h>

using namespace etcdpp;

namespace {

struct Run {
  int code;
  std::string output;
};

// Standard output and error together; `tail` is appended to the shell's command line.
Run run(const std::string& arguments, const std::string& tail = "") {
  const std::string command = "set -o pipefail; { " WALDUMP " " + arguments + "; } 2>&1 " + tail;
  FILE* pipe = ::popen(("bash -c '" + command + "'").c_str(), "r");
  REQUIRE(pipe != nullptr);
  Run result{0, ""};
  char buffer[4096];
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) result.output.append(buffer, n);
  const int status = ::pclose(pipe);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

class Log {
 public:
  Log() : directory_(std::filesystem::temp_directory_path() / ("etcdpp-waldump-test-" + base::hex(base::random_seed()))) {
    auto log = wal::Wal::create(base::posix_env(), wal_directory(), {1, 2});
    REQUIRE(log);
    std::vector<raft::Entry> entries;
    for (raft::Index i = 1; i <= 5000; ++i) entries.push_back({raft::EntryType::kNormal, 1, i, {}});
    REQUIRE((*log)->save({1, 1, 5000}, entries));
    end_ = (*log)->tail_offset();
    REQUIRE((*log)->close());
  }
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  ~Log() { std::filesystem::remove_all(directory_); }
  const std::string& directory() const { return directory_; }
  std::string wal_directory() const { return directory_ + "/member/wal"; }
  std::string segment() const { return wal_directory() + "/0000000000000000-0000000000000000.wal"; }
  std::uint64_t end() const { return end_; }

 private:
  std::string directory_;
  std::uint64_t end_ = 0;
};

}  // namespace

TEST_CASE("waldump: exit codes are the documented ones") {
  const Log log;
  CHECK(run("--help").code == 0);
  CHECK(run("--help").output.find("Exit codes") != std::string::npos);
  CHECK(run("").code == 2);
  CHECK(run("--no-such-flag x").code == 2);
  CHECK(run("-o xml x").code == 2);
  const Run absent = run("/nowhere/at/all");
  CHECK(absent.code == 1);
  CHECK(absent.output == "waldump: No such file or directory: /nowhere/at/all\n");
  CHECK(run("--verify " + log.directory()).code == 0);
  std::filesystem::resize_file(log.segment(), log.end() - 5);
  CHECK(run("--verify " + log.directory()).code == 3);
  CHECK(run("-o json --last 1 " + log.segment()).code == 3);
}

TEST_CASE("waldump: head ends it quietly, and it changes nothing") {
  const Log log;
  const auto before = std::filesystem::last_write_time(log.segment());
  const Run headed = run(log.directory(), "| head -3");
  CHECK(headed.code == 0);
  CHECK(std::count(headed.output.begin(), headed.output.end(), '\n') == 3);
  CHECK(std::filesystem::last_write_time(log.segment()) == before);
  const Run read_only = run("--verify " + log.wal_directory());
  CHECK(read_only.output.find("entries 1 to 5000") != std::string::npos);
}

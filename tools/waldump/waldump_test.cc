#include <sys/wait.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <etcdpp/base/random.h>
#include <etcdpp/wal/wal.h>

#include "completion.h"
#include "flags.h"
#include "running_member.h"

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

TEST_CASE("waldump: a flag that takes a list leaves the path alone, and ranges and filters reach the library") {
  const Log log;
  const Run kinds = run("--kind empty,put --type normal --index 10-12 -o json " + log.directory());
  CHECK(kinds.code == 0);
  CHECK(std::count(kinds.output.begin(), kinds.output.end(), '\n') == 4);
  CHECK(run("--kind empty --kind txn --last 2 -o json " + log.directory()).output.find("\"index\":4999") != std::string::npos);
  CHECK(run("--wal-dir " + log.wal_directory() + " --verify").code == 0);
  CHECK(run("--verify " + log.wal_directory() + "/*.wal").output.find("entries     1 to 5000") != std::string::npos);
  for (const char* wrong : {"--index 5-1", "--index x", "--kind puts", "--type entries", "--lease xyz", "--key-hex abc", "--key-hex zz", "--key a --key-hex 61", "--size 1x",
                            "--verify --summary", "--verify --last 3", "--follow --summary", "--history k --kind put", "--color sometimes", "--last -1"}) {
    CAPTURE(std::string(wrong));
    CHECK(run(std::string(wrong) + " " + log.directory()).code == 2);
  }
  CHECK(run("--diff x").code == 2);
}

TEST_CASE("waldump: colours when asked for, none in a pipe, none in JSON") {
  const Log log;
  CHECK(run("--last 1 " + log.directory()).output.find("\x1b[") == std::string::npos);
  CHECK(run("--color always --last 1 " + log.directory()).output.find("\x1b[32m") != std::string::npos);
  CHECK(run("--color always -o json --last 1 " + log.directory()).output.find("\x1b[") == std::string::npos);
}

TEST_CASE("waldump: follow ends when nobody reads any more") {
  const Log log;
  const Run headed = run("--follow --last 2 -o json " + log.directory(), "| head -1");
  CHECK(headed.code == 0);
  CHECK(std::count(headed.output.begin(), headed.output.end(), '\n') == 1);
}

TEST_CASE("waldump: what is no log is told from one, at once") {
  const Log log;
  const std::string& directory = log.directory();
  REQUIRE(::mkfifo((directory + "/pipe").c_str(), 0600) == 0);
  CHECK(run(directory + "/pipe").code == 1);
  CHECK(run("--verify " + directory + "/member").code == 0);
  std::filesystem::create_directories(directory + "/empty");
  CHECK(run(directory + "/empty").code == 1);
  CHECK(run("/dev/null").code == 4);
  // Larger than any disk, and nearly all of it a hole.
  const std::string huge = directory + "/0000000000000000-0000000000000000.wal";
  std::filesystem::copy_file(log.segment(), huge);
  std::error_code failed;
  std::filesystem::resize_file(huge, std::uint64_t{1} << 42, failed);
  if (failed) {
    MESSAGE("SKIPPED: this file system has no files of 4 TB: ", failed.message());
  } else {
    CHECK(run("--verify " + huge).code == 0);
    std::ofstream(huge, std::ios::in | std::ios::out | std::ios::binary).seekp(std::int64_t{1} << 41) << "something";
    CHECK(run("--verify " + huge).code == 5);
  }
  // A segment in whose place a directory stands, after one that is whole: what can be read is told.
  std::filesystem::create_directories(log.wal_directory() + "/0000000000000001-0000000000001389.wal");
  const Run half = run("--verify " + directory);
  CHECK(half.code == 1);
  CHECK(half.output.find("entries     1 to 5000") != std::string::npos);
}

TEST_CASE("waldump: salvage writes a new log, and nothing where something is") {
  const Log log;
  const std::string saved = log.directory() + "/saved";
  std::filesystem::resize_file(log.segment(), log.end() - 5);
  CHECK(run("--salvage " + saved + " " + log.directory()).code == 0);
  CHECK(run("--verify " + saved).code == 0);
  CHECK(run("--salvage " + saved + " " + log.directory()).code == 1);
  CHECK(run("--diff " + saved + " " + log.directory()).code == 3);
}

TEST_CASE("waldump: whether a member holds a segment is seen without taking its lock") {
  const Log log;
  CHECK(!waldump::held_by_a_process(log.segment()));
  auto opened = wal::Wal::open(base::posix_env(), log.wal_directory(), {});
  REQUIRE(opened);
  CHECK(waldump::held_by_a_process(log.segment()));
  CHECK(run("--verify " + log.directory()).code == 0);
  opened->wal.reset();
  CHECK(!waldump::held_by_a_process(log.segment()));
}

TEST_CASE("waldump: every flag is completed by every shell") {
  char program[] = "waldump";
  char path[] = "x";
  char* arguments[] = {program, path, nullptr};
  const waldump::Parsed parsed = waldump::parse_command_line(2, arguments);
  REQUIRE(parsed.flags.size() > 20);
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = waldump::completion_script(shell, parsed.flags);
    for (const waldump::FlagWords& flag : parsed.flags) CHECK(script.find(flag.name.substr(2)) != std::string::npos);
    CHECK(run(std::string("completion ") + shell).output == script);
  }
  CHECK(run("completion tcsh").code == 2);
  CHECK(run("completion bash", "| bash -n").code == 0);
}

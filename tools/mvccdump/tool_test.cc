// The program as a user starts it: words in, output and exit codes out.

#include <cstdio>

#include <sys/wait.h>

#include "mvccdump_testing.h"

namespace etcdpp::mvccdump {

namespace {

struct Ended {
  int code = -1;
  std::string output;
};

// Standard error goes where the words say.
Ended bash(const std::string& words) {
  Ended ended;
  const std::string command = "bash -c 'set -o pipefail; mvccdump() { " MVCCDUMP " \"$@\"; }; " + words + "'";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  char buffer[4096];
  for (std::size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) ended.output.append(buffer, n);
  const int status = ::pclose(pipe);
  ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ended;
}

}  // namespace

TEST_CASE("mvccdump: words, order of words and exit codes") {
  Member member;
  for (std::int64_t main = 2; main < 4000; ++main) member.put(main, "k" + std::to_string(main), main, 1, "v");
  member.put_row(Bucket::kMeta, "consistent_index", std::string("\0\0\0\0\0\0\0\x9", 8));
  member.commit();
  const std::string path = member.folder.path();
  const Ended meta = bash("mvccdump meta " + path);
  CHECK(meta.code == 0);
  CHECK(bash("mvccdump " + path).output == meta.output);
  CHECK(bash("mvccdump " + path + " meta").output == meta.output);
  CHECK(bash("mvccdump verify -o json " + path).code == 0);
  CHECK(bash("mvccdump get --raw " + path + " k9").output == "v");
  CHECK(bash("mvccdump get --raw k9 " + path).output == "v");
  CHECK(bash("mvccdump get " + path + " absent").code == 3);
  CHECK(bash("mvccdump get --rev 99999 " + path + " k9 2>&1").code == 2);
  CHECK(bash("mvccdump diff " + path + " " + path).code == 0);
  CHECK(bash("mvccdump 2>&1").code == 2);
  CHECK(bash("mvccdump nonsense 2>&1").code == 2);
  CHECK(bash("mvccdump meta --nonsense " + path + " 2>&1").code == 2);
  CHECK(bash("mvccdump buckets --bucket nonsense " + path + " 2>&1").output == "mvccdump: no bucket is called nonsense\n");
  CHECK(bash("mvccdump meta /nowhere 2>&1").code == 2);

  const Ended help = bash("mvccdump --help");
  CHECK(help.code == 0);
  CHECK(help.output.find("Examples:") != std::string::npos);
  CHECK(help.output.find("Exit codes:") != std::string::npos);
  CHECK(bash("mvccdump ls --help").output.find("--rev") != std::string::npos);

  // A reader that goes away is no error, and no noise.
  const Ended head = bash("mvccdump revisions " + path + " 2>&1 | head -1");
  CHECK(head.code == 0);
  CHECK(head.output.starts_with("REVISION"));
  CHECK(std::count(head.output.begin(), head.output.end(), '\n') == 1);

  std::string bytes = slurp(member.file());
  bytes[bytes.find("k3999")] ^= 1;
  spill_bytes(path + "/damaged", bytes);
  CHECK(bash("mvccdump verify " + path + "/damaged").code == 1);
  CHECK(bash("mvccdump ls " + path + "/damaged 2>&1 >/dev/null").output == "mvccdump: 1 rows with a wrong checksum, 0 that cannot be decoded\n");
  const Ended salvage = bash("mvccdump salvage " + path + "/damaged " + path + "/rescued");
  CHECK(salvage.code == 1);
  CHECK(bash("mvccdump ls " + path + "/rescued | wc -l").output == "3998\n");
  CHECK(bash("mvccdump export --bbolt " + path + "/rescued " + path + " 2>&1").code == 2);
}

TEST_CASE("mvccdump: completion knows the commands and their flags") {
  for (const char* name : {"bash", "zsh", "fish"}) {
    const Ended script = bash(std::string("mvccdump completion ") + name);
    CHECK(script.code == 0);
    CHECK(script.output.find("salvage") != std::string::npos);
    CHECK(script.output.find("snapshot") != std::string::npos);
  }
  CHECK(bash("mvccdump completion csh 2>&1").code == 2);
  CHECK(bash("source <(mvccdump completion bash); COMP_WORDS=(mvccdump sal); COMP_CWORD=1; _mvccdump; echo $COMPREPLY").output == "salvage\n");
  CHECK(bash("source <(mvccdump completion bash); COMP_WORDS=(mvccdump get --re); COMP_CWORD=2; _mvccdump; echo $COMPREPLY").output == "--rev\n");
}

}  // namespace etcdpp::mvccdump

// waldump: what a write-ahead log holds, frame by frame, in any state of damage. Flags in, wal::dump() out.

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <etcdpp/wal/dump.h>

namespace {

constexpr const char* kFooter = R"(
Exit codes:
  0  intact: the log ends at a zero length word or at the end of its file
  1  something could not be read
  2  wrong usage
  3  torn tail: it ends within a frame, as a crash leaves it; repaired at the next start
  4  damaged: etcd and etcdpp refuse to start with it
  5  hidden data: bytes follow the zero length word at which it ends; etcd loses them

Examples:
  waldump /var/lib/etcd                         every frame of a member's log, decoded
  waldump --last 20 /var/lib/etcd               the newest twenty
  waldump --frames /var/lib/etcd/member/wal     places, lengths and checksums only
  waldump --hex 0000000000000000-0000000000000000.wal
  waldump --verify /var/lib/etcd                only the verdict
  waldump -o json /var/lib/etcd | jq 'select(.payload.kind == "put")'

Nothing is ever written, and a running member is not disturbed; its log may look torn where it is writing.
Bytes that a terminal might obey are shown as \xNN. Passwords and tokens are never shown.)";

// False when the reader has gone, as `| head` goes.
bool write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app("Shows what etcd's or etcdpp's write-ahead log holds, and whether it is whole. Read-only.", "waldump");
  std::vector<std::string> paths;
  etcdpp::wal::DumpOptions options;
  std::string format = "text";
  bool verify = false;
  app.add_option("PATH", paths, "data directories, log directories or single segments")->required();
  app.add_flag("--frames", options.frames_only, "frames only, their contents undecoded");
  app.add_flag("--hex", options.hex, "the bytes of each frame's payload, secrets starred");
  app.add_flag("--full", options.full, "long values in full");
  app.add_flag("--show-damaged", options.show_damaged, "contents of damaged entries too; they may hold passwords");
  app.add_flag("--verify", verify, "only the verdict");
  app.add_option("--last", options.last, "only the last N frames")->type_name("N");
  app.add_option("-o,--output", format, "text, or json: one object a line")->check(CLI::IsMember({"text", "json"}));
  app.footer(kFooter);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  options.json = format == "json";
  options.verdict_only = verify;
  const auto ending = etcdpp::wal::dump(etcdpp::base::posix_env(), paths, options, write_all);
  if (!ending) {
    std::fprintf(stderr, "waldump: %s\n", etcdpp::base::printable(ending.error().message()).c_str());
    return 1;
  }
  return static_cast<int>(*ending);
}

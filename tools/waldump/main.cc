// waldump: what a write-ahead log holds, in any state of damage. Flags in, one call of libs/wal, text or JSON out.

#include <csignal>
#include <cstdio>
#include <thread>

#include <etcdpp/wal/dump.h>

#include "completion.h"
#include "flags.h"
#include "running_member.h"
#include "terminal.h"

namespace {

using namespace etcdpp;
using waldump::Question;

constexpr auto kSettle = std::chrono::milliseconds(20);
constexpr auto kFollow = std::chrono::milliseconds(100);

base::Result<wal::Ending> answer(const waldump::Request& request, const wal::DumpHooks& hooks) {
  base::Env& env = base::posix_env();
  const wal::DumpOptions& options = request.options;
  switch (request.question) {
    case Question::kVerify: return wal::verify(env, request.paths, options.style, hooks, waldump::write_all);
    case Question::kSummary: return wal::summarise(env, request.paths, options.filter, options.style, hooks, waldump::write_all);
    case Question::kHistory: return wal::history(env, request.paths, request.history_key, options.style, hooks, waldump::write_all);
    case Question::kDiff: return wal::diff(env, request.paths.front(), request.argument, options.style, hooks, waldump::write_all);
    case Question::kSalvage: {
      // What was lost is said, and was the reason to ask.
      auto salvaged = wal::salvage(env, request.paths, request.argument, options.style, hooks, waldump::write_all);
      if (salvaged) *salvaged = wal::Ending::kIntact;
      return salvaged;
    }
    case Question::kFrames:
    case Question::kCompletion: break;
  }
  return wal::dump(env, request.paths, options, hooks, waldump::write_all);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  waldump::Parsed parsed = waldump::parse_command_line(argc, argv);
  if (!parsed.request) return parsed.exit_code;
  waldump::Request& request = *parsed.request;
  if (request.question == Question::kCompletion) {
    const std::string script = waldump::completion_script(request.argument, parsed.flags);
    if (script.empty()) std::fprintf(stderr, "waldump: completion is written for bash, zsh and fish\n");
    waldump::write_all(script);
    return script.empty() ? 2 : 0;
  }
  request.options.style.color = !request.options.style.json && (request.color == waldump::ColorChoice::kAlways ||
                                                                (request.color == waldump::ColorChoice::kAuto && waldump::output_has_colors()));
  // Frames on a terminal are progress enough.
  waldump::ProgressBar bar(request.question != Question::kFrames || !waldump::output_is_terminal() || request.options.last > 0);
  wal::DumpHooks hooks;
  hooks.progress = [&](std::uint64_t done, std::uint64_t total) { bar.show(done, total); };
  hooks.settle = [](const std::string& path) {
    if (!waldump::held_by_a_process(path)) return false;
    std::this_thread::sleep_for(kSettle);
    return true;
  };
  hooks.wait = [&] {
    bar.clear();
    return waldump::wait_for_more(kFollow);
  };
  const auto ending = answer(request, hooks);
  bar.clear();
  if (!ending) {
    std::fprintf(stderr, "waldump: %s\n", base::printable(ending.error().message()).c_str());
    return 1;
  }
  return static_cast<int>(*ending);
}

#include <cstdlib>
#include <istream>
#include <map>
#include <mutex>
#include <ostream>
#include <thread>

#include <etcdpp/client/watch_stream.h>

#include "command.h"
#include "go_text.h"
#include "kv_requests.h"
#include "session.h"
#include "shell_words.h"
#include "watch_exec.h"

namespace etcdpp::ctl {
namespace {

namespace pb = etcdserverpb;

/// One watcher as the user asked for it.
struct WatchLine {
  pb::WatchCreateRequest request;
  std::vector<std::string> command;  // after --, run for each event
};

std::string environment_value(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

/// Key, end and command from flags and arguments, or the key from the environment.
Outcome<WatchLine> watch_line(const Flags& flags) {
  std::vector<std::string> arguments = flags.arguments();
  WatchLine line;
  if (flags.dash_at()) {
    line.command.assign(arguments.begin() + static_cast<std::ptrdiff_t>(*flags.dash_at()), arguments.end());
    arguments.resize(*flags.dash_at());
    if (line.command.empty()) return fail(kBadArgs, "bad number of arguments (found separator --, but no commands)");
  }
  const std::string key_variable = environment_value("ETCDCTL_WATCH_KEY");
  const std::string end_variable = environment_value("ETCDCTL_WATCH_RANGE_END");
  if (key_variable.empty() && !end_variable.empty())
    return fail(kBadArgs, "ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END=" + go_quote(end_variable));
  if (!key_variable.empty()) {
    if (!arguments.empty()) return fail(kBadArgs, "bad number of arguments (found conflicting environment key)");
    arguments = {key_variable};
    if (!end_variable.empty()) arguments.push_back(end_variable);
  }
  if (arguments.empty()) return fail(kBadArgs, "bad number of arguments");

  std::string key = arguments[0];
  std::string end = arguments.size() > 1 ? arguments[1] : "";
  if (flags.boolean("prefix")) {
    if (arguments.size() > 1) return fail(kBadArgs, "`range_end` and `--prefix` are mutually exclusive");
    end = prefix_end(key);
    if (key.empty()) key = std::string(1, '\0');
  }
  line.request.set_key(key);
  line.request.set_range_end(end);
  line.request.set_start_revision(flags.integer("rev"));
  line.request.set_prev_kv(flags.boolean("prev-kv"));
  line.request.set_progress_notify(flags.boolean("progress-notify"));
  return line;
}

std::string cancel_reason(const pb::WatchResponse& response) {
  if (response.compact_revision() != 0) return "etcdserver: mvcc: required revision has been compacted";
  if (!response.cancel_reason().empty()) return response.cancel_reason();
  return "etcdserver: mvcc: required revision is a future revision";
}

/// Shows one response and runs the watcher's command for its events.
Outcome<> show(Session& session, const pb::WatchResponse& response, const std::vector<std::string>& command) {
  if (response.created()) return {};
  if (response.canceled()) session.io.err << "watch was canceled (" << cancel_reason(response) << ")\n" << std::flush;
  if (response.events().empty() && !response.canceled())
    session.io.out << "progress notify: " << response.header().revision() << '\n';
  auto printed = session.printer->watch(response);
  session.io.out.flush();
  if (!printed || command.empty()) return printed;
  for (const auto& event : response.events())
    if (auto done = run_for_event(command, response.header().revision(), event); !done) {
      session.io.err << done.error().message << '\n';
      return fail(done.error().exit_code, "");
    }
  return {};
}

std::unexpected<Failure> ended() {
  return fail(kInterrupted, "watch is canceled by the server");
}

std::unexpected<Failure> stream_failed(Session& session, const base::Error& error) {
  session.io.err << "watch was canceled (" << client::status_text(error) << ")\n";
  return ended();
}

Outcome<> watch_one(Session& session, client::Client& client) {
  auto line = watch_line(session.flags);
  if (!line) return std::unexpected(line.error());
  client::WatchStream stream(client);
  stream.add(line->request);
  for (;;) {
    auto response = stream.next();
    if (!response) return stream_failed(session, response.error());
    if (auto shown = show(session, *response, line->command); !shown) return shown;
    if (response->canceled()) return ended();
  }
}

/// Watchers by lines of standard input, all on one stream. Ends only with a failure: the input's end is one.
class InteractiveWatch {
 public:
  InteractiveWatch(Session& session, client::Client& client) : session_(session), stream_(client) {}

  Outcome<> run() {
    std::jthread reader([this] { read_events(); });
    Outcome<> outcome = read_lines();
    stream_.close();
    return outcome;
  }

 private:
  Outcome<> read_lines() {
    std::string line;
    while (std::getline(session_.io.in, line) && !session_.io.in.eof()) {
      if (auto taken = take(line); !taken) return taken;
    }
    return fail(kInvalidInput, "error reading watch request line: EOF");
  }

  Outcome<> take(const std::string& line) {
    const auto complain = [&](const std::string& text) {
      std::lock_guard lock(output_);
      session_.io.err << text << '\n' << std::flush;
    };
    const auto words = shell_words(line);
    if (!words) return fail(kInvalidInput, "invalid quoted string in " + line);
    if (words->empty()) {
      complain("Invalid command: " + line + " (watch and progress supported)");
      return {};
    }
    if (words->front() == "progress") {
      stream_.request_progress();
      return {};
    }
    if (words->front() != "watch") {
      complain("Invalid command " + line + " (only support watch)");
      return {};
    }
    if (words->size() < 2 && environment_value("ETCDCTL_WATCH_KEY").empty()) {
      complain("Invalid command " + line + " (command type or key is not provided)");
      return {};
    }
    Flags flags(watch_flags());
    if (auto parsed = flags.parse(std::span(*words).subspan(1)); !parsed) return fail(kBadArgs, parsed.error());
    auto watch = watch_line(flags);
    if (!watch) {
      complain("Invalid command " + line + " (" + watch.error().message + ")");
      return {};
    }
    std::lock_guard lock(output_);
    commands_[stream_.add(std::move(watch->request))] = std::move(watch->command);
    return {};
  }

  void read_events() {
    for (;;) {
      auto response = stream_.next();
      std::lock_guard lock(output_);
      if (!response) {
        if (response.error().code != client::Errc::kClosed) (void)stream_failed(session_, response.error());
        return;
      }
      auto shown = show(session_, *response, commands_[response->watch_id()]);
      if (!shown) {
        // The main thread waits for input and cannot be told.
        session_.io.out.flush();
        session_.io.err << std::flush;
        std::_Exit(shown.error().exit_code);
      }
    }
  }

  Session& session_;
  client::WatchStream stream_;
  std::mutex output_;
  std::map<std::int64_t, std::vector<std::string>> commands_;  // by watcher, under output_
};

Outcome<> run_watch(Session& session) {
  auto client = session.client();
  if (!client) return std::unexpected(client.error());
  if (session.flags.boolean("interactive")) return InteractiveWatch(session, **client).run();
  return watch_one(session, **client);
}

}  // namespace

std::vector<FlagSpec> watch_flags() {
  using enum FlagKind;
  return {{"interactive", 'i', kBool, "false", "read watchers from standard input, a line each"},
          {"prefix", 0, kBool, "false", "all keys that begin with the key"},
          {"rev", 0, kInt, "0", "from this revision on, also if it is past"},
          {"prev-kv", 0, kBool, "false", "show what was there before"},
          {"progress-notify", 0, kBool, "false", "let the server say now and then how far it is"}};
}

Command watch_command() {
  return {
      .name = "watch",
      .group = "Key-value commands",
      .summary = "Shows the changes of a key, or of the keys of [key, range_end)",
      .arguments = "[options] [key] [range_end] [-- command [arguments]]",
      .details =
          "Shows changes as they happen, and survives the loss of its connection. A command after -- is run for each\n"
          "change, with ETCD_WATCH_REVISION, ETCD_WATCH_EVENT_TYPE, ETCD_WATCH_KEY and ETCD_WATCH_VALUE set.\n"
          "ETCDCTL_WATCH_KEY and ETCDCTL_WATCH_RANGE_END can stand for key and range_end.\n\n"
          "With -i, every line of standard input adds a watcher (watch [options] key [range_end] [-- command]) or "
          "asks\n"
          "how far the stream is (progress).",
      .examples =
          "$ etcdppctl watch greeting\n$ etcdppctl watch --prefix app/ --rev 100 -w json\n"
          "$ etcdppctl watch greeting -- sh -c 'echo \"$ETCD_WATCH_KEY changed\"'\n"
          "$ printf 'watch a\\nwatch --prefix b/\\n' | etcdppctl watch -i",
      .flags = watch_flags(),
      .run = run_watch,
      .children = {},
      .group_flags = {}};
}

}  // namespace etcdpp::ctl

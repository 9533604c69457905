// mvccdump: what is in a database of etcdpp or etcd, in any state of damage. Flags in, a command, a table or JSON out.

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <etcdpp/backend/errc.h>
#include <etcdpp/bolt/errc.h>

#include "command.h"
#include "completion.h"

namespace {

using namespace etcdpp;
using mvccdump::Exit;

constexpr const char* kAbout =
    "Shows what is in a database of etcdpp (LMDB) or etcd (bbolt). Reads only: it writes nothing but the files that salvage\n"
    "and export are told to make, takes no lock, and may be used on the directory of a running member (rows may then be of\n"
    "different commits, seconds apart).";
constexpr const char* kFooter = R"(PATH is a data directory of etcdpp or etcd, a database file in one, or a saved snapshot. It may also stand before the
command; a PATH alone is `meta PATH`.

Examples:
  mvccdump default.etcd                                 ids, index, term, compaction, versions, rows
  mvccdump verify default.etcd                          is it whole? exit code 0, 1, 2 or 4
  mvccdump stats snapshot.db                            where the bytes are, what compaction would free
  mvccdump revisions --from 100 --to 120 default.etcd   the history, change by change
  mvccdump history default.etcd foo                     the lives of one key, value by value
  mvccdump keys --prefix /registry/pods/ default.etcd   generations of keys: created, modified, deleted
  mvccdump get --rev 120 default.etcd foo               time travel; --raw for the bare value
  mvccdump ls --rev 120 --prefix /registry/ default.etcd
  mvccdump diff --rev 120 node1.etcd node2.etcd         do two members agree, and where not
  mvccdump hash --rev 120 default.etcd                  compare with etcdctl endpoint hashkv --rev 120
  mvccdump buckets -o json default.etcd                 every row as it is, in hexadecimal
  mvccdump export default.etcd > keys.jsonl             the keys, one JSON object a line
  mvccdump export --bbolt etcd.db --snapshot default.etcd && etcdutl snapshot restore etcd.db
  mvccdump salvage broken.db rescued.db                 every readable row into a fresh bbolt database
  source <(mvccdump completion bash)

In JSON a key or value is a string under its name where it is UTF-8, else hexadecimal under `<name>_hex`.

Exit codes:
  0  done; verify: whole
  1  damage was found, or something is lost
  2  the database could not be read at all, or wrong usage
  3  get: no such key at that revision; history: no such key; diff: there are differences
  4  the database is being written to, too fast for an answer about all of it)";

// False when the reader has gone, as `| head` goes.
bool write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(descriptor, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

int complain(std::string_view what, Exit code) {
  write_all(STDERR_FILENO, "mvccdump: " + std::string(what) + "\n");
  return static_cast<int>(code);
}

Exit code_of(const base::Error& error) {
  const auto is = [&](auto code) { return error.code == make_error_code(code); };
  if (is(backend::Errc::kDamaged) || is(backend::Errc::kCorrupt) || is(bolt::Errc::kDamaged) || is(bolt::Errc::kTooLarge)) return Exit::kDamage;
  if (is(bolt::Errc::kBusy)) return Exit::kNoVerdict;
  return Exit::kCannot;
}

struct Command {
  const char* name;
  const char* about;
  base::Result<Exit> (*run)(mvccdump::Context&);
};
constexpr Command kCommands[] = {
    {"buckets", "every row of every bucket", mvccdump::buckets_command},
    {"revisions", "every change of every key, oldest first", mvccdump::revisions_command},
    {"keys", "every key with its generations: when it was created, modified and deleted", mvccdump::keys_command},
    {"get", "one key as it was at a revision", mvccdump::get_command},
    {"ls", "the keys that existed at a revision", mvccdump::ls_command},
    {"history", "every change of one key", mvccdump::history_command},
    {"diff", "what differs between two databases", mvccdump::diff_command},
    {"leases", "leases, and the keys attached to them", mvccdump::leases_command},
    {"auth", "users and roles, without secrets", mvccdump::auth_command},
    {"members", "members, and those removed", mvccdump::members_command},
    {"meta", "file, consistent index, term, compaction marks, conf state, versions", mvccdump::meta_command},
    {"stats", "bytes by prefix, revisions per key, biggest values, garbage awaiting compaction", mvccdump::stats_command},
    {"hash", "HashKV at a revision, Maintenance.Hash, and that of `etcdutl snapshot status`", mvccdump::hash_command},
    {"verify", "is it whole: pages, checksums, order, buckets, generations", mvccdump::verify_command},
    {"salvage", "every readable row into a fresh bbolt database, and what was lost", mvccdump::salvage_command},
    {"export", "the keys as JSON lines, or everything as a bbolt database", mvccdump::export_command},
};

bool is_command(std::string_view word) {
  return word == "completion" || std::any_of(std::begin(kCommands), std::end(kCommands), [&](const Command& command) { return word == command.name; });
}

// What one subcommand takes beside PATH and -o.
void add_flags(CLI::App& sub, std::string_view name, mvccdump::Options& options, std::string& bucket, std::string& only_key) {
  const auto is = [&](std::initializer_list<std::string_view> names) { return std::find(names.begin(), names.end(), name) != names.end(); };
  if (is({"get", "history"})) sub.add_option("KEY", options.key, "the key")->required();
  if (is({"diff"})) sub.add_option("OTHER", options.other, "the database to compare with")->required();
  if (is({"salvage"})) sub.add_option("OUT", options.other, "the file to write")->required();
  if (is({"buckets"})) sub.add_option("--bucket", bucket, "only this one");
  if (is({"revisions"})) {
    sub.add_option("--from", options.from, "first main revision");
    sub.add_option("--to", options.to, "last main revision");
  }
  if (is({"revisions", "keys"})) sub.add_option("--key", only_key, "only this key");
  if (is({"keys", "ls", "diff", "export"})) sub.add_option("--prefix", options.prefix, "only keys that begin so");
  if (is({"get", "ls", "diff", "hash", "export"})) sub.add_option("--rev", options.revision, "at this revision (0: the current one)")->check(CLI::NonNegativeNumber);
  if (is({"get"})) sub.add_flag("--raw", options.raw, "only the value, its bytes as they are");
  if (is({"buckets", "revisions", "get", "history", "diff", "leases"})) sub.add_flag("--full", options.full, "long values in full");
  if (is({"stats"})) {
    sub.add_option("--depth", options.depth, "parts of a prefix (2)")->check(CLI::Range(0, 100));
    sub.add_option("--separator", options.separator, "what ends a part (/)");
    sub.add_option("--top", options.top, "lines of each list (10)")->check(CLI::Range(0, 10'000));
  }
  if (is({"export"})) sub.add_option("--bbolt", options.bbolt, "write all buckets into this new bbolt database, which etcd starts on");
  if (is({"export", "salvage"})) sub.add_flag("--snapshot", options.snapshot, "append the SHA-256 that `etcdutl snapshot restore` wants");
}

int run(const Command& command, const mvccdump::Options& options, mvccdump::Format format, bool progress_always) {
  const base::SystemClock clock;
  mvccdump::Output out([](base::BytesView bytes) { return write_all(STDOUT_FILENO, bytes); });
  const bool bar = progress_always || ::isatty(STDERR_FILENO) == 1;
  mvccdump::Progress progress(clock, bar ? mvccdump::Progress::Sink([](base::BytesView bytes) { write_all(STDERR_FILENO, bytes); }) : nullptr);
  mvccdump::Printer printer(out, format, options.full);
  mvccdump::Context context{base::posix_env(), printer, progress, options};
  const auto done = command.run(context);
  printer.end_table();
  out.flush();
  progress.clear();
  if (out.closed()) return 0;
  if (!done) return complain(base::printable(done.error().message()), code_of(done.error()));
  if (*done == Exit::kNoVerdict) complain("the database is being written to; stop the member, or save a snapshot and look at that", *done);
  if (context.bad_checksums == 0 && context.undecodable == 0) return static_cast<int>(*done);
  return complain(std::to_string(context.bad_checksums) + " rows with a wrong checksum, " + std::to_string(context.undecodable) + " that cannot be decoded",
                  *done == Exit::kNoVerdict ? *done : Exit::kDamage);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  std::vector<std::string> words(argv + 1, argv + argc);
  // PATH may stand first, or alone.
  if (!words.empty() && !words[0].empty() && words[0][0] != '-' && !is_command(words[0])) {
    const bool command_behind = words.size() > 1 && is_command(words[1]);
    words.insert(words.begin() + (command_behind ? 2 : 0), command_behind ? words[0] : "meta");
    if (command_behind) words.erase(words.begin());
  }

  CLI::App app(kAbout, "mvccdump");
  app.footer(kFooter);
  app.require_subcommand(1);
  mvccdump::Options options;
  std::string output = "table", bucket, only_key, shell;
  bool progress = false;
  std::vector<std::pair<CLI::App*, const Command*>> subs;
  for (const Command& command : kCommands) {
    CLI::App* sub = app.add_subcommand(command.name, command.about);
    sub->add_option("-o,--output", output, "table, or json: one object a line")->check(CLI::IsMember({"table", "json"}));
    sub->add_flag("--progress", progress, "a progress bar also where standard error is no terminal");
    sub->add_option("PATH", options.path, "data directory, database file or saved snapshot")->required();
    add_flags(*sub, command.name, options, bucket, only_key);
    subs.emplace_back(sub, &command);
  }
  CLI::App* completion = app.add_subcommand("completion", "the script for a shell's completion");
  completion->add_option("SHELL", shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  try {
    std::reverse(words.begin(), words.end());  // as CLI11 wants them
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : static_cast<int>(Exit::kCannot);
  }

  if (completion->parsed()) {
    std::vector<mvccdump::Completed> completed;
    for (const auto& [sub, command] : subs) {
      std::vector<std::string> flags;
      for (const CLI::Option* option : sub->get_options())
        for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
      completed.push_back({command->name, command->about, std::move(flags)});
    }
    write_all(STDOUT_FILENO, mvccdump::completion_script(shell, completed));
    return 0;
  }

  if (!bucket.empty() && !(options.bucket = backend::bucket_named(bucket))) return complain("no bucket is called " + base::printable(bucket), Exit::kCannot);
  for (const auto& [sub, command] : subs) {
    if (!sub->parsed()) continue;
    if (const CLI::Option* key = sub->get_option_no_throw("--key"); key && key->count() > 0) options.only_key = only_key;
    // KEY and PATH the other way round.
    if (!options.key.empty() && !base::posix_env().exists(options.path) && base::posix_env().exists(options.key)) std::swap(options.path, options.key);
    const auto format = output == "json" ? mvccdump::Format::kJson : mvccdump::Format::kTable;
    return run(*command, options, format, progress);
  }
  return static_cast<int>(Exit::kCannot);
}

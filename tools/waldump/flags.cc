#include "flags.h"

#include <charconv>
#include <cstdio>

#include <CLI/CLI.hpp>

namespace etcdpp::waldump {

namespace {

constexpr const char* kFooter = R"(
Exit codes:
  0  intact: the log ends at a zero length word or at the end of its file
  1  something could not be read (or, with --salvage, not be written)
  2  wrong usage
  3  torn tail: it ends within a frame, as a crash leaves it; cut off at the next start
  4  damaged: etcd and etcdpp refuse to start with it
  5  hidden data: bytes follow the zero length word at which it ends; etcd loses them
  6  contradiction: every frame is whole, but records contradict each other
  7  --diff: the logs hold different entries for one index
  --salvage exits with 0 when the new log is written, and says what was lost.

Ranges are N, A-B, A- or -B, both ends included; sizes take k, M and G (1024, 1024^2, 1024^3).
Kinds are those that are printed (put, txn, lease_grant, conf_change, empty, ...), or what several begin with: lease, auth, cluster.

Examples:
  waldump /var/lib/etcd                         every frame of a member's log, decoded
  waldump --last 20 /var/lib/etcd               the newest twenty
  waldump --follow --last 5 /var/lib/etcd       the newest five, and what a running member appends
  waldump --key /app/config /var/lib/etcd       what was done to a key or asked about it
  waldump --prefix /app/ --kind put,txn --index 5000-6000 /var/lib/etcd
  waldump --user bob --since-snapshot /var/lib/etcd
  waldump --size 1M- --kind txn /var/lib/etcd   large transactions
  waldump --frames /var/lib/etcd/member/wal     places, lengths and checksums only
  waldump --hex 0000000000000000-0000000000000000.wal
  waldump --verify /var/lib/etcd                is it whole, and if not, where
  waldump --summary /var/lib/etcd               what is it full of
  waldump --history /app/config /var/lib/etcd   every write to a key, with its revision
  waldump --diff /backup/m2 /var/lib/etcd       where two members' logs part
  waldump --salvage /tmp/saved /var/lib/etcd    everything readable, in a new log
  waldump -o json /var/lib/etcd | jq 'select(.payload.kind == "put")'
  source <(waldump completion bash)

Nothing is ever written but by --salvage, into a new directory, and a running member is not disturbed.
Bytes that a terminal might obey are shown as \xNN. Passwords and tokens are never shown.)";

// What the flags leave behind as text.
struct Texts {
  std::string index;
  std::string term;
  std::string size;
  std::string lease;
  std::string key;
  std::string key_hex;
  std::string prefix;
  std::string prefix_hex;
  std::string user;
  std::string history;
  std::string history_hex;
  std::string diff;
  std::string salvage;
  std::string wal_dir;
  std::string format = "text";
  std::string color = "auto";
  bool verify = false;
  bool summary = false;
};

struct UsageError {
  std::string text;
};

std::string from_hex(const std::string& flag, const std::string& text) {
  std::string out;
  std::string_view digits = text;
  if (digits.starts_with("0x")) digits.remove_prefix(2);
  if (digits.size() % 2 != 0) throw UsageError{flag + ": an odd number of hexadecimal digits in " + text};
  for (; !digits.empty(); digits.remove_prefix(2)) {
    unsigned byte = 0;
    if (std::from_chars(digits.data(), digits.data() + 2, byte, 16).ptr != digits.data() + 2) throw UsageError{flag + ": not hexadecimal: " + text};
    out += static_cast<char>(byte);
  }
  return out;
}

std::optional<wal::NumberRange> range_of(const std::string& flag, const std::string& text, bool units = false) {
  if (text.empty()) return {};
  const auto range = wal::parse_range(text, units);
  if (!range) throw UsageError{flag + ": not a range (N, A-B, A- or -B): " + text};
  return range;
}

void fill_filter(const CLI::App& app, const Texts& texts, wal::Filter& filter) {
  filter.index = range_of("--index", texts.index);
  filter.term = range_of("--term", texts.term);
  filter.size = range_of("--size", texts.size, true);
  if (app.count("--key")) filter.key = texts.key;
  if (app.count("--key-hex")) filter.key = from_hex("--key-hex", texts.key_hex);
  if (app.count("--prefix")) filter.prefix = texts.prefix;
  if (app.count("--prefix-hex")) filter.prefix = from_hex("--prefix-hex", texts.prefix_hex);
  if (app.count("--user")) filter.user = texts.user;
  if (app.count("--lease")) {
    std::string_view digits = texts.lease;
    if (digits.starts_with("0x")) digits.remove_prefix(2);
    std::uint64_t id = 0;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), id, 16);
    if (failed != std::errc() || end != digits.data() + digits.size()) throw UsageError{"--lease: not a lease id in hexadecimal: " + texts.lease};
    filter.lease = id;
  }
  if (const auto valid = wal::validate(filter); !valid) throw UsageError{valid.error().context};
}

// Which question is asked, and that only one is, with flags that mean something to it.
void choose_question(const CLI::App& app, const Texts& texts, Request& request) {
  struct Choice {
    const char* flag;
    Question question;
  };
  constexpr Choice kChoices[] = {{"--verify", Question::kVerify},          {"--summary", Question::kSummary}, {"--history", Question::kHistory},
                                 {"--history-hex", Question::kHistory}, {"--diff", Question::kDiff},       {"--salvage", Question::kSalvage}};
  const char* asked = request.options.follow ? "--follow" : nullptr;
  for (const Choice& choice : kChoices) {
    if (app.count(choice.flag) == 0) continue;
    if (asked) throw UsageError{std::string(asked) + " and " + choice.flag + " do not go together"};
    asked = choice.flag;
    request.question = choice.question;
  }
  const bool filtered = !request.options.filter.empty();
  const bool framed = request.options.last > 0 || request.options.since_snapshot || request.options.hex || request.options.frames_only ||
                      request.options.show_damaged;
  if (request.question != Question::kFrames && framed)
    throw UsageError{std::string(asked) + " does not show frames: --last, --since-snapshot, --frames, --hex and --show-damaged mean nothing to it"};
  if (request.question != Question::kFrames && request.question != Question::kSummary && filtered)
    throw UsageError{std::string(asked) + " looks at the whole log: filters mean nothing to it"};
  if (request.question == Question::kDiff && request.paths.size() != 1) throw UsageError{"--diff compares OTHER with one PATH"};
  request.history_key = app.count("--history-hex") ? from_hex("--history-hex", texts.history_hex) : texts.history;
  request.argument = request.question == Question::kDiff ? texts.diff : texts.salvage;
}

std::vector<FlagWords> flag_words(const CLI::App& app) {
  std::vector<FlagWords> flags;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_lnames().empty()) continue;
    FlagWords words;
    words.name = "--" + option->get_lnames().front();
    words.help = option->get_description();
    words.takes_value = option->get_expected_max() > 0;
    words.takes_path = words.name == "--diff" || words.name == "--salvage" || words.name == "--wal-dir";
    if (words.name == "--output") words.values = {"text", "json"};
    if (words.name == "--color") words.values = {"auto", "always", "never"};
    if (words.name == "--type") words.values = {"metadata", "entry", "state", "crc", "snapshot", "normal", "conf_change", "conf_change_v2"};
    if (words.name == "--kind")
      words.values = {"put", "delete_range", "txn", "range", "compaction", "lease", "lease_grant", "lease_revoke", "lease_checkpoint", "alarm", "auth", "cluster", "downgrade", "conf_change", "empty"};
    flags.push_back(std::move(words));
  }
  return flags;
}

}  // namespace

Parsed parse_command_line(int argc, char** argv) {
  Parsed parsed;
  Request request;
  Texts texts;
  wal::DumpOptions& options = request.options;
  CLI::App app("Shows what etcd's or etcdpp's write-ahead log holds, in any state of damage, and whether it is whole. Read-only.", "waldump");
  app.get_formatter()->column_width(34);
  app.add_option("PATH", request.paths, "data directories, log directories or single segments");
  app.add_option("--wal-dir", texts.wal_dir, "a log directory, as --wal-dir of etcd; the same as a PATH")->type_name("DIR");

  const char* frames = "Frames";
  app.add_flag("--frames", options.frames_only, "frames only, their contents undecoded")->group(frames);
  app.add_flag("--hex", options.hex, "the bytes of each frame's payload, secrets starred")->group(frames);
  app.add_flag("--full", options.style.full, "long values in full")->group(frames);
  app.add_flag("--show-damaged", options.show_damaged, "contents of damaged entries too, unless they might be requests of auth")->group(frames);
  app.add_option("--last", options.last, "only the last N frames (that pass the filters)")->check(CLI::NonNegativeNumber)->type_name("N")->group(frames);
  app.add_flag("--since-snapshot", options.since_snapshot, "only what a start reads: from the newest snapshot marker on")->group(frames);
  app.add_flag("--follow", options.follow, "go on with what a running member appends")->group(frames);

  const char* filters = "Filters (all must hold; of a list, one)";
  app.add_option("--index", texts.index, "raft index")->type_name("RANGE")->group(filters);
  app.add_option("--term", texts.term, "raft term, also of hard states and snapshot markers")->type_name("RANGE")->group(filters);
  app.add_option("--type", options.filter.types, "record type (metadata, entry, state, crc, snapshot) or entry type (normal, conf_change)")
      ->type_name("TYPE,...")->delimiter(',')->allow_extra_args(false)->group(filters);
  app.add_option("--kind", options.filter.kinds, "kind of request")
      ->type_name("KIND,...")->delimiter(',')->allow_extra_args(false)->group(filters);
  app.add_option("--key", texts.key, "puts of this key; ranges, deletions and comparisons that reach it")->type_name("KEY")->group(filters);
  app.add_option("--key-hex", texts.key_hex, "the same, in hexadecimal")->type_name("HEX")->excludes("--key")->group(filters);
  app.add_option("--prefix", texts.prefix, "the same of every key that begins so")->type_name("PREFIX")->group(filters);
  app.add_option("--prefix-hex", texts.prefix_hex, "the same, in hexadecimal")->type_name("HEX")->excludes("--prefix")->group(filters);
  app.add_option("--lease", texts.lease, "lease id, in hexadecimal as it is printed")->type_name("ID")->group(filters);
  app.add_option("--user", texts.user, "who asked")->type_name("NAME")->group(filters);
  app.add_option("--size", texts.size, "bytes of an entry's data")->type_name("RANGE")->group(filters);

  const char* questions = "Questions (one at a time)";
  app.add_flag("--verify", texts.verify, "whether the log is whole: segments, checksums, order, hard state, snapshot markers")->group(questions);
  app.add_flag("--summary", texts.summary, "per kind count, bytes and rate; biggest requests, hottest prefixes, leaders, conf changes")->group(questions);
  app.add_option("--history", texts.history, "every write to KEY: index, term, and revision where it can be told")->type_name("KEY")->group(questions);
  app.add_option("--history-hex", texts.history_hex, "the same, KEY in hexadecimal")->type_name("HEX")->group(questions);
  app.add_option("--diff", texts.diff, "where the log of another member parts from this one")->type_name("OTHER")->group(questions);
  app.add_option("--salvage", texts.salvage, "write every readable record into a fresh valid log in the new directory OUT")->type_name("OUT")->group(questions);

  app.add_option("-o,--output", texts.format, "text, or json: one object a line")->check(CLI::IsMember({"text", "json"}))->type_name("FORMAT");
  app.add_option("--color", texts.color, "auto (on a terminal), always or never")->check(CLI::IsMember({"auto", "always", "never"}))->type_name("WHEN");
  app.footer(kFooter);
  parsed.flags = flag_words(app);

  // `waldump completion bash`; a log of that name is ./completion.
  if (argc == 3 && std::string_view(argv[1]) == "completion") {
    request.question = Question::kCompletion;
    request.argument = argv[2];
    parsed.request = std::move(request);
    return parsed;
  }
  try {
    app.parse(argc, argv);
    if (!texts.wal_dir.empty()) request.paths.push_back(texts.wal_dir);
    if (request.paths.empty()) throw UsageError{"PATH is required: a data directory, a log directory or a segment"};
    fill_filter(app, texts, options.filter);
    choose_question(app, texts, request);
  } catch (const CLI::ParseError& error) {
    parsed.exit_code = app.exit(error) == 0 ? 0 : 2;
    return parsed;
  } catch (const UsageError& error) {
    std::fprintf(stderr, "waldump: %s\nRun with --help for more information.\n", base::printable(error.text).c_str());
    parsed.exit_code = 2;
    return parsed;
  }
  options.style.json = texts.format == "json";
  request.color = texts.color == "always" ? ColorChoice::kAlways : texts.color == "never" ? ColorChoice::kNever : ColorChoice::kAuto;
  parsed.request = std::move(request);
  return parsed;
}

}  // namespace etcdpp::waldump

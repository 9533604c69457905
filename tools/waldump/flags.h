#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <etcdpp/wal/dump.h>

namespace etcdpp::waldump {

enum class Question { kFrames, kVerify, kSummary, kHistory, kDiff, kSalvage, kCompletion };
enum class ColorChoice { kAuto, kAlways, kNever };

/// What the command line asks for.
struct Request {
  Question question = Question::kFrames;
  std::vector<std::string> paths;
  wal::DumpOptions options;
  ColorChoice color = ColorChoice::kAuto;
  std::string history_key;
  /// The other log of --diff, the directory of --salvage, the shell of `completion`.
  std::string argument;
};

/// A flag as a shell should complete it: "--key", and what it is for. `values`: the words that may follow.
struct FlagWords {
  std::string name;
  std::string help;
  std::vector<std::string> values;
  bool takes_value = false;
  bool takes_path = false;
};

struct Parsed {
  /// Absent: there is nothing to do but to exit, everything was said.
  std::optional<Request> request;
  int exit_code = 0;
  std::vector<FlagWords> flags;
};

/// Prints help to standard output and what is wrong to standard error.
Parsed parse_command_line(int argc, char** argv);

}  // namespace etcdpp::waldump

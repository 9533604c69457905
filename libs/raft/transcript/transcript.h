#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <etcdpp/raft/types.h>

namespace etcdpp::raft::transcript {

/// "key", "key=value" or "key=(a,b)".
struct Argument {
  std::string key;
  bool bare = true;  ///< Without '='.
  std::vector<std::string> values;
};

/// One block of a transcript: a command, its input lines, and what it is to print.
struct Block {
  std::size_t line = 0;
  std::string command;
  std::vector<Argument> arguments;
  std::string input;
  std::string expected;

  const Argument* find(std::string_view key) const;
};

/// Reads datadriven's file format: blocks of a command line, input, "----" and output up to a blank line, or between
/// doubled "----" lines; '#' begins a comment, a command goes on behind '\\' at a line's end, "subtest" lines only group.
std::vector<Block> parse(std::string_view text);

/// Runs a transcript of one kind; each call is one command and gives its output.
using Script = std::function<std::string(const Block&)>;
/// A cluster in one process.
Script interaction_script();
/// Committed indices and vote results of majority and joint configurations.
Script quorum_script();
/// The conf changer.
Script confchange_script();

/// "v1 l2 r3 u4"; false, with the format's error text, when it is not that.
bool parse_changes(std::string_view text, std::vector<ConfChangeSingle>& out, std::string& error);

}  // namespace etcdpp::raft::transcript

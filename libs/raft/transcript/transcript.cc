#include "transcript.h"

#include <cctype>
#include <charconv>

#include <etcdpp/raft/describe.h>

namespace etcdpp::raft::transcript {

namespace {

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return lines;
}

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

void parse_command(std::string_view line, Block& block) {
  std::vector<std::string> words;
  std::string word;
  int depth = 0;
  for (const char c : line) {
    if (depth == 0 && (c == ' ' || c == '\t')) {
      if (!word.empty()) words.push_back(std::exchange(word, {}));
      continue;
    }
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    word += c;
  }
  if (!word.empty()) words.push_back(word);
  if (words.empty()) return;
  block.command = words.front();
  for (std::size_t i = 1; i < words.size(); ++i) {
    Argument argument;
    const std::size_t equals = words[i].find('=');
    argument.key = words[i].substr(0, equals);
    argument.bare = equals == std::string::npos;
    if (!argument.bare) {
      std::string_view value = std::string_view(words[i]).substr(equals + 1);
      if (value.starts_with('(') && value.ends_with(')')) {
        value = value.substr(1, value.size() - 2);
        while (!trim(value).empty()) {
          const std::size_t comma = value.find(',');
          argument.values.emplace_back(trim(value.substr(0, comma)));
          value = comma == std::string_view::npos ? std::string_view() : value.substr(comma + 1);
        }
      } else {
        argument.values.emplace_back(value);
      }
    }
    block.arguments.push_back(std::move(argument));
  }
}

}  // namespace

const Argument* Block::find(std::string_view key) const {
  for (const Argument& argument : arguments)
    if (argument.key == key) return &argument;
  return nullptr;
}

std::vector<Block> parse(std::string_view text) {
  const std::vector<std::string> lines = split_lines(text);
  std::vector<Block> blocks;
  std::size_t at = 0;
  while (at < lines.size()) {
    if (trim(lines[at]).empty() || trim(lines[at]).starts_with('#')) {
      ++at;
      continue;
    }
    Block block;
    block.line = at + 1;
    std::string command = lines[at++];
    while (command.ends_with('\\') && at < lines.size()) {
      command.pop_back();
      command += lines[at++];
    }
    parse_command(command, block);
    // Only groups what is between it and its "subtest end".
    if (block.command == "subtest") continue;
    while (at < lines.size() && lines[at] != "----") block.input += lines[at++] + "\n";
    if (at < lines.size()) ++at;
    if (at < lines.size() && lines[at] == "----") {
      for (++at; at < lines.size(); ++at) {
        if (lines[at] == "----" && at + 1 < lines.size() && lines[at + 1] == "----") break;
        block.expected += lines[at] + "\n";
      }
      at += 2;
    } else {
      while (at < lines.size() && !trim(lines[at]).empty()) block.expected += lines[at++] + "\n";
    }
    blocks.push_back(std::move(block));
  }
  return blocks;
}

bool parse_changes(std::string_view text, std::vector<ConfChangeSingle>& out, std::string& error) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  while (!text.empty()) {
    const std::size_t space = text.find(' ');
    const std::string token(text.substr(0, space));
    text = space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
    if (token.size() < 2) {
      error = "unknown token " + token;
      return false;
    }
    ConfChangeSingle change;
    switch (token.front()) {
      case 'v': change.type = ConfChangeType::kAddNode; break;
      case 'l': change.type = ConfChangeType::kAddLearnerNode; break;
      case 'r': change.type = ConfChangeType::kRemoveNode; break;
      case 'u': change.type = ConfChangeType::kUpdateNode; break;
      default: error = "unknown input: " + token; return false;
    }
    const char* const end = token.data() + token.size();
    const auto [parsed, code] = std::from_chars(token.data() + 1, end, change.node_id);
    if (code != std::errc() || parsed != end) {
      error = "strconv.ParseUint: parsing " + quote(token.substr(1)) + ": " +
              (code == std::errc::result_out_of_range ? "value out of range" : "invalid syntax");
      return false;
    }
    out.push_back(change);
  }
  return true;
}

}  // namespace etcdpp::raft::transcript

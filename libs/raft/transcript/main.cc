// raft_transcript [--ignore-logs] FILE…: runs transcripts and says what differs.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "transcript.h"

namespace etcdpp::raft::transcript {
namespace {

Script script_for(const std::filesystem::path& file, const std::vector<Block>& blocks) {
  // The nearest folder that names a kind; elsewhere, what the commands are.
  for (auto folder = std::filesystem::absolute(file).lexically_normal().parent_path(); folder != folder.root_path(); folder = folder.parent_path()) {
    if (folder.filename() == "interaction") return interaction_script();
    if (folder.filename() == "quorum") return quorum_script();
    if (folder.filename() == "confchange") return confchange_script();
  }
  for (const Block& block : blocks) {
    if (block.command == "committed" || block.command == "vote") return quorum_script();
    if (block.command == "simple" || block.command == "enter-joint" || block.command == "leave-joint") return confchange_script();
  }
  return interaction_script();
}

std::vector<std::string> lines_of(const std::string& text, bool ignore_logs) {
  std::vector<std::string> lines;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    const std::string_view content = std::string_view(line).substr(std::min(line.find_first_not_of(' '), line.size()));
    bool log = false;
    for (const char* level : {"DEBUG ", "INFO ", "WARN ", "ERROR ", "FATAL "}) log |= content.starts_with(level);
    if (!(ignore_logs && log)) lines.push_back(std::move(line));
  }
  // A command that printed nothing but log lines printed nothing.
  if (lines.empty()) lines.push_back("ok");
  return lines;
}

/// Expected and actual lines by their longest common subsequence.
std::string diff(const std::vector<std::string>& expected, const std::vector<std::string>& actual) {
  const std::size_t n = expected.size();
  const std::size_t m = actual.size();
  std::vector<std::vector<std::uint32_t>> common(n + 1, std::vector<std::uint32_t>(m + 1, 0));
  for (std::size_t i = n; i-- > 0;)
    for (std::size_t j = m; j-- > 0;)
      common[i][j] = expected[i] == actual[j] ? common[i + 1][j + 1] + 1 : std::max(common[i + 1][j], common[i][j + 1]);
  std::string out;
  for (std::size_t i = 0, j = 0; i < n || j < m;) {
    if (i < n && j < m && expected[i] == actual[j]) {
      out += "    " + expected[i] + "\n";
      ++i, ++j;
    } else if (j == m || (i < n && common[i + 1][j] >= common[i][j + 1])) {
      out += "  - " + expected[i++] + "\n";
    } else {
      out += "  + " + actual[j++] + "\n";
    }
  }
  return out;
}

bool run(const std::string& file, bool ignore_logs) {
  std::ifstream in(file, std::ios::binary);
  if (!in) {
    std::cout << "FAIL " << file << ": cannot be read\n";
    return false;
  }
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const std::vector<Block> blocks = parse(text);
  const Script script = script_for(file, blocks);
  std::string differences;
  for (const Block& block : blocks) {
    const auto expected = lines_of(block.expected, ignore_logs);
    const auto actual = lines_of(script(block), ignore_logs);
    if (expected != actual) differences += file + ":" + std::to_string(block.line) + ": " + block.command + "\n" + diff(expected, actual);
  }
  if (blocks.empty()) differences = "  no commands in it\n";
  std::cout << (differences.empty() ? "ok   " : "FAIL ") << file << "\n" << differences;
  return differences.empty();
}

}  // namespace
}  // namespace etcdpp::raft::transcript

int main(int argc, char** argv) {
  bool ignore_logs = false;
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--ignore-logs") {
      ignore_logs = true;
    } else if (argument.starts_with("-") && argument != "-") {
      std::cerr << "raft_transcript: unknown flag " << argument << "\nusage: raft_transcript [--ignore-logs] FILE…\n";
      return 2;
    } else {
      files.emplace_back(argument);
    }
  }
  if (files.empty()) {
    std::cerr << "usage: raft_transcript [--ignore-logs] FILE…\n";
    return 2;
  }
  int passed = 0;
  int failed = 0;
  for (const std::string& file : files) ++(etcdpp::raft::transcript::run(file, ignore_logs) ? passed : failed);
  std::cout << passed << " passed, " << failed << " failed\n";
  return failed == 0 ? 0 : 1;
}

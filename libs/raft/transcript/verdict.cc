#include "verdict.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace etcdpp::raft::transcript {

namespace {

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

}  // namespace

std::string differences(const std::string& name, const std::vector<Block>& blocks, const Script& script, bool ignore_logs) {
  std::string found;
  for (const Block& block : blocks) {
    const auto expected = lines_of(block.expected, ignore_logs);
    const auto actual = lines_of(script(block), ignore_logs);
    if (expected != actual) found += name + ":" + std::to_string(block.line) + ": " + block.command + "\n" + diff(expected, actual);
  }
  return blocks.empty() ? "  no commands in it\n" : found;
}

}  // namespace etcdpp::raft::transcript

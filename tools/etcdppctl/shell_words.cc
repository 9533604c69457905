#include "shell_words.h"

#include "go_text.h"

namespace etcdpp::ctl {
namespace {

bool blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/// Where the double-quoted string that starts the text ends, behind its quote; 0 if it is not closed.
std::size_t quoted_end(std::string_view text) {
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      return i + 1;
  }
  return 0;
}

}  // namespace

std::optional<std::vector<std::string>> shell_words(std::string_view line) {
  std::vector<std::string> words;
  while (!line.empty()) {
    std::size_t used = 1;
    if (line[0] == '"') {
      if (const std::size_t end = quoted_end(line)) {
        std::string_view literal = line.substr(0, end);
        std::string word;
        if (!take_go_string(literal, word) || !literal.empty()) return std::nullopt;
        words.push_back(std::move(word));
        used = end;
      }
    } else if (line[0] == '\'') {
      if (const auto end = line.find('\'', 1); end != std::string_view::npos) {
        words.emplace_back(line.substr(1, end - 1));
        used = end + 1;
      }
    } else if (!blank(line[0])) {
      while (used < line.size() && !blank(line[used])) ++used;
      words.emplace_back(line.substr(0, used));
    }
    line.remove_prefix(used);
  }
  return words;
}

}  // namespace etcdpp::ctl

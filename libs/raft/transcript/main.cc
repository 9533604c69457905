// raft_transcript [--ignore-logs] FILE…: runs transcripts and says what differs.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "transcript.h"
#include "verdict.h"

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

bool run(const std::string& file, bool ignore_logs) {
  std::ifstream in(file, std::ios::binary);
  if (!in) {
    std::cout << "FAIL " << file << ": cannot be read\n";
    return false;
  }
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const std::vector<Block> blocks = parse(text);
  const std::string found = differences(file, blocks, script_for(file, blocks), ignore_logs);
  std::cout << (found.empty() ? "ok   " : "FAIL ") << file << "\n" << found;
  return found.empty();
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

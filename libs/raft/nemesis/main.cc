// raft_nemesis [--seeds FIRST COUNT | --seed N]: disturbs clusters and says whether raft's promises held.
#include <charconv>
#include <cstdint>
#include <iostream>
#include <string_view>

#include "nemesis.h"

namespace {

bool number(std::string_view text, std::uint64_t& out) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), out);
  return code == std::errc() && end == text.data() + text.size();
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t first = 1;
  std::uint64_t count = 1000;
  const std::string_view flag = argc > 1 ? argv[1] : "";
  const bool good = argc == 1 || (flag == "--seed" && argc == 3 && number(argv[2], first)) ||
                    (flag == "--seeds" && argc == 4 && number(argv[2], first) && number(argv[3], count));
  if (!good) {
    std::cerr << "usage: raft_nemesis [--seeds FIRST COUNT | --seed N]\n";
    return 2;
  }
  if (flag == "--seed") count = 1;
  etcdpp::raft::nemesis::Totals totals;
  std::uint64_t violations = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const std::string broken = etcdpp::raft::nemesis::run(seed, totals);
    if (broken.empty()) continue;
    ++violations;
    std::cout << "seed " << seed << ": " << broken << "\n  replay: raft_nemesis --seed " << seed << "\n";
    if (violations == 10) break;
  }
  std::cout << count << " seeds, " << violations << " violations; " << totals.steps << " steps, " << totals.committed << " entries committed, "
            << totals.elections << " elections, " << totals.crashes << " crashes, " << totals.conf_changes << " conf changes, "
            << totals.snapshots << " snapshots, " << totals.reads << " reads, " << totals.transfers << " transfers\n";
  return violations == 0 ? 0 : 1;
}

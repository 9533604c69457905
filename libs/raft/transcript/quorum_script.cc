#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "quorum.h"
#include "transcript.h"

namespace etcdpp::raft::transcript {

namespace {

std::string index_text(Index index) {
  return index == std::numeric_limits<Index>::max() ? "∞" : std::to_string(index);
}

/// The acknowledged indices as a bar chart: the more of them are smaller, the longer a bar.
std::string chart(const IdSet& voters, const std::map<NodeId, Index>& acked) {
  if (voters.empty()) return "<empty majority quorum>";
  const std::size_t n = voters.size();
  const auto of = [&](NodeId id) { return acked.contains(id) ? acked.at(id) : 0; };
  std::string out = std::string(n, ' ') + "    idx\n";
  for (NodeId id : voters) {
    const std::size_t smaller = static_cast<std::size_t>(std::count_if(voters.begin(), voters.end(), [&](NodeId other) { return of(other) < of(id); }));
    if (!acked.contains(id)) out += "?" + std::string(n, ' ');
    else out += std::string(smaller, 'x') + ">" + std::string(n - smaller, ' ');
    out += fmt::format(" {:5}    (id={})\n", of(id), id);
  }
  return out;
}

/// The definition, word for word: the largest index that a majority has reached.
Index committed_by_counting(const IdSet& voters, const std::map<NodeId, Index>& acked) {
  if (voters.empty()) return std::numeric_limits<Index>::max();
  Index best = 0;
  for (const auto& [ignored, index] : acked) {
    std::size_t reached = 0;
    for (NodeId id : voters) reached += acked.contains(id) && acked.at(id) >= index;
    if (reached * 2 > voters.size()) best = std::max(best, index);
  }
  return best;
}

bool parse_ids(const Argument* argument, std::vector<NodeId>& ids) {
  if (!argument) return true;
  for (const std::string& value : argument->values) {
    NodeId id = 0;
    const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), id);
    if (code != std::errc() || end != value.data() + value.size()) return false;
    ids.push_back(id);
  }
  return true;
}

/// As the format prints it: the voters as a set, the values as the numbers they stand for.
std::string mismatch(const IdSet& voters, const std::vector<std::string>& values, bool votes) {
  std::vector<std::string> numbers;
  for (const std::string& value : values) numbers.push_back(value == "_" ? "0" : votes ? (value == "y" ? "2" : "1") : value);
  std::string set;
  for (NodeId id : voters) set += fmt::format("{}{}:{{}}", set.empty() ? "" : " ", id);
  return fmt::format("error: mismatched input (explicit or _) for voters map[{}]: [{}]", set, fmt::join(numbers, " "));
}

std::string run(const Block& block) {
  std::vector<NodeId> ids;
  std::vector<NodeId> outgoing;
  const Argument* joint = block.find("cfgj");
  const bool zero = joint && joint->values.size() == 1 && joint->values[0] == "zero";
  if (!parse_ids(block.find("cfg"), ids) || (!zero && !parse_ids(joint, outgoing))) return "error: malformed ids";

  // Values belong to the ids in the order of their first mention; "_" is none.
  std::vector<NodeId> order;
  for (const auto* half : {&ids, &outgoing})
    for (NodeId id : *half)
      if (std::find(order.begin(), order.end(), id) == order.end()) order.push_back(id);
  const bool votes = block.command == "vote";
  if (!votes && block.command != "committed") return "unknown command";
  const Argument* given = block.find(votes ? "votes" : "idx");
  const std::vector<std::string> values = given ? given->values : std::vector<std::string>{};
  if (values.size() != order.size())
    return mismatch(JointConfig{IdSet(ids), IdSet(outgoing)}.ids(), values, votes);

  const JointConfig config{IdSet(ids), IdSet(outgoing)};
  const JointConfig swapped{config.outgoing, config.incoming};
  const JointConfig twice{config.incoming, config.incoming};
  if (votes) {
    std::map<NodeId, bool> cast;
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (values[i] == "y" || values[i] == "n") cast[order[i]] = values[i] == "y";
      else if (values[i] != "_") return "error: unknown vote " + values[i];
    }
    const auto of = [&](NodeId id) { return cast.contains(id) ? std::optional(cast[id]) : std::nullopt; };
    const VoteResult result = joint ? vote_result(config, of) : vote_result(config.incoming, of);
    std::string out;
    if (vote_result(swapped, of) != vote_result(config, of)) out += fmt::format("{} <-- via symmetry\n", to_string(vote_result(swapped, of)));
    if (!joint && vote_result(twice, of) != result) out += fmt::format("{} <-- via self-joint quorum\n", to_string(vote_result(twice, of)));
    return out + to_string(result);
  }

  std::map<NodeId, Index> acked;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (values[i] == "_") continue;
    Index index = 0;
    const auto [end, code] = std::from_chars(values[i].data(), values[i].data() + values[i].size(), index);
    if (code != std::errc() || end != values[i].data() + values[i].size()) return "error: malformed index " + values[i];
    acked[order[i]] = index;
  }
  const auto of = [&](NodeId id) { return acked.contains(id) ? std::optional(acked[id]) : std::nullopt; };
  const Index result = joint ? committed_index(config, of) : committed_index(config.incoming, of);
  std::string out = chart(joint ? config.ids() : config.incoming, acked);
  const Index counted = std::min(committed_by_counting(config.incoming, acked), committed_by_counting(config.outgoing, acked));
  if (counted != result) out += index_text(counted) + " <-- via alternative computation\n";
  if (committed_index(swapped, of) != committed_index(config, of)) out += index_text(committed_index(swapped, of)) + " <-- via symmetry\n";
  if (!joint && committed_index(twice, of) != result) out += index_text(committed_index(twice, of)) + " <-- via self-joint quorum\n";
  return out + index_text(result);
}

}  // namespace

Script quorum_script() { return run; }

}  // namespace etcdpp::raft::transcript

#include "read_only.h"

#include "classic_bugs.h"

namespace etcdpp::raft {

namespace {
constexpr std::size_t kMaxPendingReads = 65536;
}

bool ReadOnly::add(Index commit, Message request) {
  if (pending_.size() >= kMaxPendingReads) return false;
  pending_.push_back({std::move(request), commit});
  return true;
}

base::Bytes ReadOnly::heartbeat_context() const {
  if (pending_.empty()) return {};
  base::Bytes context(8, '\0');
  base::put_le64(context.data(), last());
  return context;
}

void ReadOnly::acknowledge(NodeId from, base::BytesView context) {
  if (context.size() != 8) return;
  const std::uint64_t number = has_bug(ClassicBug::kReadConfirmedByEarlierRound) ? last() : base::get_le64(context.data());
  if (number > last()) return;
  for (auto& [id, highest] : acknowledged_) {
    if (id != from) continue;
    highest = std::max(highest, number);
    return;
  }
  acknowledged_.emplace_back(from, number);
}

std::vector<ReadOnly::Pending> ReadOnly::take_confirmed(const JointConfig& voters, NodeId self) {
  const std::uint64_t confirmed = std::min(last(), committed_index(voters, [&](NodeId id) -> std::optional<Index> {
    if (id == self) return last();
    for (const auto& [from, number] : acknowledged_)
      if (from == id) return number;
    return std::nullopt;
  }));
  std::vector<Pending> taken;
  for (; confirmed_ < confirmed; ++confirmed_) {
    taken.push_back(std::move(pending_.front()));
    pending_.pop_front();
  }
  return taken;
}

}  // namespace etcdpp::raft

// What a proposal costs inside raft: propose → ready → advance, without disk or network.
#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include <etcdpp/raft/raw_node.h>

namespace {

std::atomic<std::uint64_t> allocations{0};

}  // namespace

// Counting allocations needs the global operators, which the compiler takes for mismatched once it sees through them.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* p = std::malloc(size == 0 ? 1 : size)) return p;
  std::abort();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace etcdpp::raft {
namespace {

constexpr std::size_t kBatch = 100;
constexpr std::size_t kPayload = 256;

struct Member {
  MemoryStorage storage;
  RawNode node;

  Member(NodeId id, std::span<const Peer> peers, bool async)
      : node(RawNode::create({.id = id, .storage = &storage, .async_storage_writes = async}).value()) {
    node.bootstrap(peers).value();
  }

  /// Writes and applies at once; true if there was something.
  bool run(bool async, std::vector<Message>& network) {
    if (!node.has_ready()) return false;
    Ready ready = node.ready();
    if (!async) {
      storage.append(ready.entries).value();
      for (const Entry& entry : ready.committed_entries)
        if (entry.type != EntryType::kNormal) node.apply_conf_change(ConfChange{}).value();
      for (Message& m : ready.messages) network.push_back(std::move(m));
      node.advance();
    } else {
      for (Message& m : ready.messages) {
        if (!is_local_target(m.to)) {
          network.push_back(std::move(m));
          continue;
        }
        if (m.type == MessageType::kStorageAppend) storage.append(m.entries).value();
        for (Message& response : m.responses) {
          if (response.to == response.from || is_local_target(response.from)) node.step_local(std::move(response)).value();
          else network.push_back(std::move(response));
        }
      }
    }
    if (storage.last_index() - storage.first_index() > 10'000) storage.compact(storage.last_index() - 5'000).value();
    return true;
  }
};

void propose(benchmark::State& state, NodeId members, bool async) {
  std::vector<Peer> peers;
  for (NodeId id = 1; id <= members; ++id) peers.push_back({.id = id});
  std::vector<std::unique_ptr<Member>> cluster;
  for (NodeId id = 1; id <= members; ++id) cluster.push_back(std::make_unique<Member>(id, peers, async));
  std::vector<Message> network;
  std::vector<Message> delivery;
  const auto settle = [&] {
    for (bool busy = true; busy;) {
      busy = false;
      for (auto& member : cluster) busy |= member->run(async, network);
      delivery.swap(network);
      for (Message& m : delivery) static_cast<void>(cluster[m.to - 1]->node.step(std::move(m)).has_value());
      busy |= !delivery.empty();
      delivery.clear();
    }
  };
  settle();
  cluster[0]->node.campaign();
  settle();

  const std::string text(kPayload, 'x');
  std::vector<base::SharedBytes> payloads(kBatch);
  const std::uint64_t before = allocations.load();
  for (auto _ : state) {
    for (base::SharedBytes& payload : payloads) payload = base::SharedBytes(text);
    cluster[0]->node.propose(payloads).value();
    settle();
  }
  const auto proposals = static_cast<double>(state.iterations()) * kBatch;
  state.SetItemsProcessed(static_cast<std::int64_t>(proposals));
  state.counters["per_proposal"] = benchmark::Counter(proposals, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["allocations/proposal"] = static_cast<double>(allocations.load() - before) / proposals;
}

BENCHMARK_CAPTURE(propose, one_member_synchronous, 1, false);
BENCHMARK_CAPTURE(propose, one_member_asynchronous, 1, true);
BENCHMARK_CAPTURE(propose, three_members_synchronous, 3, false);
BENCHMARK_CAPTURE(propose, three_members_asynchronous, 3, true);

}  // namespace
}  // namespace etcdpp::raft

BENCHMARK_MAIN();

#include <doctest/doctest.h>

#include <etcdpp/base/random.h>
#include <etcdpp/raft/conf_change_codec.h>
#include <etcdpp/raft/errc.h>

#include "conf_changer.h"

namespace etcdpp::raft {
namespace {

TEST_CASE("conf change codec: bytes are etcd's") {
  // Bootstrap: no id; type and node id even when zero.
  CHECK(base::hex(encode_conf_change(ConfChange{.node_id = 1, .context = "ab"}).view()) == "10001801" "22026162");
  CHECK(base::hex(encode_conf_change(ConfChange{.id = 300, .type = ConfChangeType::kRemoveNode}).view()) == "08ac02" "1001" "1800");
  CHECK(base::hex(encode_conf_change(ConfChangeV2(ConfChangeTransition::kJointExplicit,
                                                  {{ConfChangeType::kAddNode, 2}, {ConfChangeType::kRemoveNode, 1}})).view()) ==
        "0802" "120408001002" "120408011001");
}

TEST_CASE("conf change codec: what is written is read back") {
  const ConfChange v1{.id = ~0ull, .type = ConfChangeType::kAddLearnerNode, .node_id = 1ull << 63, .context = std::string("\0x", 2)};
  CHECK(*decode_conf_change(encode_conf_change(v1).view()) == v1);
  const ConfChangeV2 v2(ConfChangeTransition::kJointImplicit, {{ConfChangeType::kAddNode, 2}, {ConfChangeType::kUpdateNode, ~0ull}}, "why");
  CHECK(*decode_conf_change_v2(encode_conf_change(v2).view()) == v2);
  CHECK(*decode_conf_change_v2("") == ConfChangeV2());
}

TEST_CASE("conf change codec: garbage is refused, unknown fields are skipped") {
  using namespace std::string_view_literals;
  for (const auto bytes : {"\x08"sv, "\x08\x80"sv, "\x22\x05"sv, "\x10\x07"sv, "\x00\x01"sv, "\x0b"sv, "\x22\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv,
                           "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"sv, "\x12\x00"sv})
    CHECK(decode_conf_change(bytes).error().code == Errc::kBadConfChange);
  CHECK(decode_conf_change_v2("\x08\x03").error().code == Errc::kBadConfChange);
  CHECK(decode_conf_change_v2("\x12\x02\x08\x09").error().code == Errc::kBadConfChange);
  CHECK(decode_conf_change("\x18\x05\x28\x01\x31" "12345678" "\x3a\x01z")->node_id == 5);
  base::Random random(3);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes(random.below(24), '\0');
    for (char& c : bytes) c = static_cast<char>(random.one_in(2) ? random.below(34) : random.next());
    static_cast<void>(decode_conf_change(bytes).has_value());
    static_cast<void>(decode_conf_change_v2(bytes).has_value());
  }
}

TEST_CASE("conf changer: random changes keep the invariants and restore from their conf state") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    base::Random random(seed);
    Tracker tracker;
    tracker.max_inflight_messages = 8;
    const auto take = [&](base::Result<ConfChanger::Outcome> next) {
      if (!next) return;
      tracker.membership = std::move(next->membership);
      tracker.progress = std::move(next->progress);
    };
    const ConfChangeSingle first{ConfChangeType::kAddNode, 1};
    take(ConfChanger(tracker, 5).simple({&first, 1}));
    for (int round = 0; round < 60; ++round) {
      ConfChangeV2 change(static_cast<ConfChangeTransition>(random.below(3)));
      for (std::uint64_t n = random.below(4); n > 0; --n)
        change.changes.push_back({static_cast<ConfChangeType>(random.below(4)), random.below(6)});
      take(ConfChanger(tracker, 5).change(change));
      REQUIRE_FALSE(tracker.membership.voters.incoming.empty());
      const auto restored = ConfChanger::restore(Tracker{}, 5, tracker.membership.conf_state());
      REQUIRE(restored);
      REQUIRE(restored->membership == tracker.membership);
    }
  }
}

TEST_CASE("conf changer: conf states that cannot be are refused") {
  for (const ConfState& bad : {ConfState{.voters = {1, 1}}, ConfState{.learners = {1}}, ConfState{.voters = {1}, .learners = {1}},
                               ConfState{.voters = {0}}, ConfState{.voters = {1}, .auto_leave = true},
                               ConfState{.voters = {1}, .learners_next = {2}}, ConfState{.voters = {}, .voters_outgoing = {1}},
                               ConfState{.voters = std::vector<NodeId>(2000, 1)}})
    CHECK(ConfChanger::restore(Tracker{}, 1, bad).error().code == Errc::kBadConfState);
}

}  // namespace
}  // namespace etcdpp::raft

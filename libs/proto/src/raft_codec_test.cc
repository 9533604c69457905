#include <doctest/doctest.h>

#include <string>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/random.h>
#include <etcdpp/proto/raft_codec.h>
#include <raftpb/raft.pb.h>

using namespace etcdpp;
using base::hex;

namespace {

std::uint64_t some_number(base::Random& random) { return random.next() >> random.below(64); }

std::string some_bytes(base::Random& random, std::size_t limit) {
  std::string bytes(random.below(limit), '\0');
  for (char& c : bytes) c = static_cast<char>(random.next());
  return bytes;
}

raft::Entry some_entry(base::Random& random) {
  return {static_cast<raft::EntryType>(random.below(3)), some_number(random), some_number(random),
          base::SharedBytes(some_bytes(random, 200))};
}

raft::ConfState some_conf_state(base::Random& random) {
  raft::ConfState state;
  for (auto* list : {&state.voters, &state.learners, &state.voters_outgoing, &state.learners_next})
    for (auto n = random.below(4); n > 0; --n) list->push_back(some_number(random));
  state.auto_leave = random.one_in(2);
  return state;
}

raft::Message some_message(base::Random& random) {
  raft::Message m;
  m.type = static_cast<raft::MessageType>(random.below(raft::kLastMessageType + 1));
  m.to = some_number(random);
  m.from = some_number(random);
  m.term = some_number(random);
  m.log_term = some_number(random);
  m.index = some_number(random);
  m.commit = some_number(random);
  m.vote = some_number(random);
  m.reject = random.one_in(2);
  m.reject_hint = some_number(random);
  m.context = some_bytes(random, 20);
  for (auto n = random.below(4); n > 0; --n) m.entries.push_back(some_entry(random));
  if (random.one_in(3)) {
    auto snapshot = std::make_shared<raft::Snapshot>();
    snapshot->data = base::SharedBytes(some_bytes(random, 50));
    snapshot->metadata = {some_conf_state(random), some_number(random), some_number(random)};
    m.snapshot = snapshot;
  }
  return m;
}

bool same(const raft::Message& a, const raft::Message& b) {
  const bool snapshots = (!a.snapshot && !b.snapshot) || (a.snapshot && b.snapshot && *a.snapshot == *b.snapshot);
  return snapshots && a.type == b.type && a.to == b.to && a.from == b.from && a.term == b.term && a.log_term == b.log_term &&
         a.index == b.index && a.entries == b.entries && a.commit == b.commit && a.vote == b.vote && a.reject == b.reject &&
         a.reject_hint == b.reject_hint && a.context == b.context;
}

}  // namespace

TEST_CASE("raft codec: zero is written where readers dereference it") {
  base::Bytes out;
  proto::append_entry({raft::EntryType::kNormal, 2, 2, {}}, out);
  CHECK(hex(base::BytesView(out)) == "080010021802");
  char buffer[proto::kMaxHardStateSize];
  CHECK(hex(base::BytesView(buffer, proto::encode_hard_state({1, 0, 1}, buffer))) == "080110001801");
  CHECK(hex(base::BytesView(proto::encode_conf_state({}))) == "2800");
  CHECK(hex(base::BytesView(proto::encode_snapshot({}))) == "1208" "0a022800" "1000" "1800");
  // etcd 3.7 leaves Type out; it reads as a normal entry.
  const auto entry = proto::decode_entry(std::string("\x10\x02\x18\x05\x22\x01x", 7));
  REQUIRE(entry);
  CHECK(*entry == raft::Entry{raft::EntryType::kNormal, 2, 5, base::SharedBytes(std::string_view("x"))});
}

TEST_CASE("raft codec: the generated classes read what it writes, and the other way round") {
  base::Random random(11);
  for (int i = 0; i < 2000; ++i) {
    const raft::Message message = some_message(random);
    const base::Bytes bytes = proto::encode_message(message);
    CHECK(bytes.size() == proto::message_size(message));
    raftpb::Message generated;
    REQUIRE(generated.ParseFromString(bytes));
    CHECK(static_cast<int>(generated.type()) == static_cast<int>(message.type));
    CHECK(generated.rejecthint() == message.reject_hint);
    CHECK(generated.logterm() == message.log_term);
    REQUIRE(generated.entries_size() == static_cast<int>(message.entries.size()));
    for (int e = 0; e < generated.entries_size(); ++e) {
      CHECK(generated.entries(e).has_type());
      CHECK(generated.entries(e).index() == message.entries[static_cast<std::size_t>(e)].index);
      CHECK(generated.entries(e).data() == message.entries[static_cast<std::size_t>(e)].data.view());
    }
    CHECK(generated.has_snapshot() == (message.snapshot != nullptr));
    // Written again by protobuf, in its own field order.
    const auto again = proto::decode_message(generated.SerializeAsString());
    REQUIRE(again);
    CHECK(same(*again, message));
    CHECK(generated.SerializeAsString() == bytes);
  }
}

TEST_CASE("raft codec: numbers of a conf state come single or packed") {
  const auto packed = proto::decode_conf_state(std::string("\x0a\x03\x01\xac\x02\x08\x07", 7));
  REQUIRE(packed);
  CHECK(packed->voters == std::vector<raft::NodeId>{1, 300, 7});
  CHECK(!proto::decode_conf_state(std::string("\x0a\x01\xac", 3)));
}

TEST_CASE("raft codec: any cut or changed byte decodes or is refused, and reading agrees with protobuf") {
  base::Random random(12);
  int refused = 0;
  for (int i = 0; i < 300; ++i) {
    const base::Bytes bytes = proto::encode_message(some_message(random));
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      raftpb::Message generated;
      const bool ours = proto::decode_message(base::BytesView(bytes).substr(0, cut)).has_value();
      const bool theirs = generated.ParseFromString(bytes.substr(0, cut));
      CHECK(ours == theirs);
    }
    for (int n = 0; n < 200; ++n) {
      base::Bytes changed = bytes;
      changed[random.below(changed.size())] = static_cast<char>(random.next());
      if (!proto::decode_message(changed)) ++refused;
      static_cast<void>(proto::decode_entry(changed));
      static_cast<void>(proto::decode_snapshot(changed));
      static_cast<void>(proto::decode_hard_state(changed));
      static_cast<void>(proto::decode_conf_state(changed));
    }
  }
  CHECK(refused > 1000);
}

TEST_CASE("wire: groups are skipped whole, and only whole ones") {
  const auto reads = [](std::string_view bytes) {
    proto::WireReader reader(bytes);
    int fields = 0;
    while (reader.next()) ++fields;
    return reader.ok() ? fields : -1;
  };
  CHECK(reads(std::string_view("\x0b\x08\x01\x0c\x10\x05", 6)) == 1);
  CHECK(reads(std::string_view("\x0b\x13\x14\x0c", 4)) == 0);
  CHECK(reads(std::string_view("\x0b\x08\x01\x14", 4)) == -1);
  CHECK(reads(std::string_view("\x0b", 1)) == -1);
  CHECK(reads(std::string_view("\x0c", 1)) == -1);
  CHECK(reads(std::string_view("\x00\x00", 2)) == -1);
  CHECK(reads(std::string(500, '\x0b')) == -1);
  CHECK(reads(std::string_view("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11)) == 1);
  CHECK(reads(std::string_view("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11)) == -1);
}

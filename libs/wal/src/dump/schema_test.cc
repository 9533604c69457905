#include "schema.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

#include <etcdserverpb/etcdserver.pb.h>
#include <etcdserverpb/raft_internal.pb.h>
#include <google/protobuf/descriptor.h>
#include <raftpb/raft.pb.h>
#include <walpb/record.pb.h>

using namespace etcdpp::wal;

namespace {

namespace pb = google::protobuf;

bool fits(const Field& field, const pb::FieldDescriptor& truth) {
  switch (truth.type()) {
    case pb::FieldDescriptor::TYPE_UINT64:
    case pb::FieldDescriptor::TYPE_UINT32: return field.kind == FieldKind::kUnsigned || field.kind == FieldKind::kId;
    case pb::FieldDescriptor::TYPE_INT64: return field.kind == FieldKind::kSigned || field.kind == FieldKind::kId;
    case pb::FieldDescriptor::TYPE_BOOL: return field.kind == FieldKind::kBool;
    case pb::FieldDescriptor::TYPE_BYTES: return field.kind == FieldKind::kBytes;
    case pb::FieldDescriptor::TYPE_STRING: return field.kind == FieldKind::kText || field.kind == FieldKind::kSecret;
    case pb::FieldDescriptor::TYPE_ENUM: return field.kind == FieldKind::kEnum;
    case pb::FieldDescriptor::TYPE_MESSAGE: return field.kind == FieldKind::kMessage;
    default: return false;
  }
}

void compare(const MessageType& type, const pb::Descriptor& truth, std::set<std::string>& seen) {
  if (!seen.insert(truth.full_name()).second) return;
  CAPTURE(truth.full_name());
  CHECK(type.fields.size() == static_cast<std::size_t>(truth.field_count()));
  std::uint32_t before = 0;
  for (const Field& field : type.fields) {
    CAPTURE(std::string(field.name));
    CHECK(field.number > before);
    before = field.number;
    CHECK(type.find(field.number) == &field);
    const auto* expected = truth.FindFieldByNumber(static_cast<int>(field.number));
    REQUIRE(expected);
    CHECK(expected->name() == field.name);
    CHECK(expected->is_repeated() == field.repeated);
    CHECK(!expected->is_packed());
    CHECK(fits(field, *expected));
    // Whatever sounds like a secret is one.
    for (const char* word : {"password", "Password", "token"}) {
      if (expected->name().find(word) != std::string::npos && expected->name() != "no_password" && !expected->message_type())
        CHECK(field.kind == FieldKind::kSecret);
    }
    if (field.kind == FieldKind::kEnum) {
      CHECK(field.values.size() == static_cast<std::size_t>(expected->enum_type()->value_count()));
      for (int i = 0; i < expected->enum_type()->value_count(); ++i)
        CHECK(enum_name(field, expected->enum_type()->value(i)->number()) == expected->enum_type()->value(i)->name());
    }
    if (field.kind == FieldKind::kMessage && expected->message_type()) compare(*field.message, *expected->message_type(), seen);
  }
}

}  // namespace

TEST_CASE("schema: every field of what a log can hold is known, as the wire schema has it") {
  std::set<std::string> seen;
  compare(kRequestType, *etcdserverpb::InternalRaftRequest::descriptor(), seen);
  compare(kMetadataType, *etcdserverpb::Metadata::descriptor(), seen);
  compare(kHardStateType, *raftpb::HardState::descriptor(), seen);
  compare(kSnapshotMarkerType, *walpb::Snapshot::descriptor(), seen);
  compare(kConfChangeType, *raftpb::ConfChange::descriptor(), seen);
  compare(kConfChangeV2Type, *raftpb::ConfChangeV2::descriptor(), seen);
  CHECK(seen.size() > 40);
}

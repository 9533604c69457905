// Our schema against the tables of etcd's: every row has its element, every element its row.

#include <doctest/doctest.h>

#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <etcdserverpb/etcdserver.pb.h>
#include <etcdserverpb/raft_internal.pb.h>
#include <etcdserverpb/rpc.pb.h>
#include <google/protobuf/descriptor.h>
#include <leasepb/lease.pb.h>
#include <snappb/snap.pb.h>
#include <v3electionpb/v3election.pb.h>
#include <v3lockpb/v3lock.pb.h>
#include <versionpb/version.pb.h>
#include <walpb/record.pb.h>

using namespace google::protobuf;

namespace {

const char* const kFields = "../shared/spec/proto-fields.tsv";
const char* const kServices = "../shared/spec/proto-services.tsv";

std::vector<const FileDescriptor*> our_files() {
  return {mvccpb::KeyValue::descriptor()->file(),
          authpb::User::descriptor()->file(),
          membershippb::RaftAttributes::descriptor()->file(),
          DescriptorPool::generated_pool()->FindFileByName("versionpb/version.proto"),
          raftpb::Entry::descriptor()->file(),
          walpb::Record::descriptor()->file(),
          snappb::snapshot::descriptor()->file(),
          leasepb::Lease::descriptor()->file(),
          etcdserverpb::PutRequest::descriptor()->file(),
          etcdserverpb::InternalRaftRequest::descriptor()->file(),
          etcdserverpb::Metadata::descriptor()->file(),
          v3lockpb::LockRequest::descriptor()->file(),
          v3electionpb::LeaderKey::descriptor()->file()};
}

std::vector<std::vector<std::string>> read_table(const char* path) {
  std::ifstream in(path);
  std::vector<std::vector<std::string>> rows;
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    std::vector<std::string> row(1);
    for (char c : line) {
      if (c == '\t') row.emplace_back();
      else row.back() += c;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

bool absent(const char* path) {
  if (std::ifstream(path)) return false;
  MESSAGE("SKIPPED: ", path, " is not there; the schema is not compared with etcd's table");
  return true;
}

// "etcdserverpb/rpc.proto" whichever tree the table found it in.
std::string short_file(const std::string& path) {
  const auto last = path.rfind('/');
  const auto before = last == std::string::npos ? last : path.find_last_of("/:", last - 1);
  return before == std::string::npos ? path : path.substr(before + 1);
}

std::string type_of(const FieldDescriptor& field) {
  if (field.type() == FieldDescriptor::TYPE_MESSAGE) return std::string(field.message_type()->full_name());
  if (field.type() == FieldDescriptor::TYPE_ENUM) return "enum " + std::string(field.enum_type()->full_name());
  return field.type_name();
}

std::string label_of(const FieldDescriptor& field) {
  if (field.is_repeated()) return "repeated";
  if (field.is_required()) return "required";
  return field.has_presence() && field.file()->syntax() == FileDescriptor::SYNTAX_PROTO2 ? "optional" : "singular";
}

std::string row(std::initializer_list<std::string> cells) {
  std::string joined;
  for (const std::string& cell : cells) joined += cell + " | ";
  return joined;
}

void add_field(const FieldDescriptor& field, const std::string& owner, const std::string& name, const std::string& label,
               std::set<std::string>& out) {
  const OneofDescriptor* oneof = field.real_containing_oneof();
  const std::string packing = !field.is_repeated() || !field.is_packable() ? "" : field.is_packed() ? "packed" : "unpacked";
  out.insert(row({std::string(field.file()->name()), owner, name, std::to_string(field.number()), type_of(field), label,
                  oneof ? std::string(oneof->name()) : "", packing}));
}

void add_enum(const EnumDescriptor& type, std::set<std::string>& out) {
  for (int i = 0; i < type.value_count(); ++i)
    out.insert(row({std::string(type.file()->name()), std::string(type.full_name()), std::string(type.value(i)->name()),
                    std::to_string(type.value(i)->number()), "ENUM_VALUE", "", "", ""}));
}

void add_message(const Descriptor& type, std::set<std::string>& out) {
  const std::string owner(type.full_name());
  if (type.field_count() == 0) out.insert(row({std::string(type.file()->name()), owner, "(no fields)", "", "", "", "", ""}));
  for (int i = 0; i < type.field_count(); ++i)
    add_field(*type.field(i), owner, std::string(type.field(i)->name()), label_of(*type.field(i)), out);
  for (int i = 0; i < type.enum_type_count(); ++i) add_enum(*type.enum_type(i), out);
  for (int i = 0; i < type.nested_type_count(); ++i) add_message(*type.nested_type(i), out);
  for (int i = 0; i < type.reserved_range_count(); ++i)
    out.insert(row({"", owner, "(reserved)",
                    std::to_string(type.reserved_range(i)->start) + "-" + std::to_string(type.reserved_range(i)->end - 1),
                    "RESERVED", "", "", ""}));
  for (int i = 0; i < type.reserved_name_count(); ++i)
    out.insert(row({"", owner, "(reserved)", type.reserved_name(i), "RESERVED", "", "", ""}));
}

// Prints what one side has and the other lacks.
void compare(const std::set<std::string>& ours, const std::set<std::string>& theirs) {
  for (const std::string& each : theirs)
    if (!ours.contains(each)) FAIL_CHECK("in the table, not in our schema: ", each);
  for (const std::string& each : ours)
    if (!theirs.contains(each)) FAIL_CHECK("in our schema, not in the table: ", each);
}

}  // namespace

TEST_CASE("schema: every field, enum value and reservation is etcd's") {
  if (absent(kFields)) return;
  std::set<std::string> theirs;
  for (auto cells : read_table(kFields)) {
    cells.resize(9);
    theirs.insert(row({short_file(cells[0]), cells[1], cells[2], cells[3], cells[4], cells[5], cells[6], cells[7]}));
  }
  std::set<std::string> ours;
  REQUIRE(versionpb::etcd_version_msg.number() == 50000);  // also what links its file in
  for (const FileDescriptor* file : our_files()) {
    REQUIRE(file != nullptr);
    for (int i = 0; i < file->message_type_count(); ++i) add_message(*file->message_type(i), ours);
    for (int i = 0; i < file->enum_type_count(); ++i) add_enum(*file->enum_type(i), ours);
    for (int i = 0; i < file->extension_count(); ++i) {
      const FieldDescriptor& extension = *file->extension(i);
      add_field(extension, "extend " + std::string(extension.containing_type()->full_name()), std::string(extension.full_name()),
                "optional", ours);
    }
  }
  CHECK(ours.size() > 400);
  compare(ours, theirs);
}

TEST_CASE("schema: every service and method is etcd's") {
  if (absent(kServices)) return;
  std::set<std::string> theirs;
  for (auto cells : read_table(kServices)) {
    cells.resize(6);
    theirs.insert(row({cells[0], cells[1], cells[2], cells[3], cells[4], cells[5]}));
  }
  std::set<std::string> ours;
  for (const FileDescriptor* file : our_files())
    for (int s = 0; s < file->service_count(); ++s) {
      const ServiceDescriptor& service = *file->service(s);
      for (int m = 0; m < service.method_count(); ++m) {
        const MethodDescriptor& method = *service.method(m);
        const std::string kind = method.client_streaming() ? (method.server_streaming() ? "bidi" : "client-stream")
                                                           : (method.server_streaming() ? "server-stream" : "unary");
        ours.insert(row({std::string(service.full_name()), std::string(method.name()), std::string(method.input_type()->full_name()),
                         std::string(method.output_type()->full_name()), kind,
                         "/" + std::string(service.full_name()) + "/" + std::string(method.name())}));
      }
    }
  CHECK(ours.size() >= 49);
  compare(ours, theirs);
}

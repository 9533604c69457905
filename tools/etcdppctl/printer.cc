#include "printer.h"

#include <etcdpp/base/human_bytes.h>

#include "go_text.h"

namespace etcdpp::ctl {
namespace {

template <class Texts>
std::string joined(const Texts& texts, const char* separator) {
  std::string out;
  bool first = true;
  for (const auto& text : texts) {
    if (!first) out += separator;
    first = false;
    out += text;
  }
  return out;
}

const char* truth(bool value) {
  return value ? "true" : "false";
}

std::string percent_not_in_use(const etcdserverpb::StatusResponse& status) {
  if (status.dbsize() <= 0) return "0%";
  return std::to_string(100 - status.dbsizeinuse() * 100 / status.dbsize()) + "%";
}

std::string size_text(std::int64_t bytes) {
  return base::human_bytes(bytes < 0 ? 0 : static_cast<std::uint64_t>(bytes));
}

}  // namespace

std::unique_ptr<Printer> make_printer(std::string_view format, Printer::Style style) {
  if (format == "simple") return make_simple_printer(style);
  if (format == "json") return make_json_printer(style);
  if (format == "fields") return make_fields_printer(style);
  if (format == "table") return make_table_printer(style);
  if (format == "protobuf") return make_protobuf_printer(style);
  return nullptr;
}

const char* event_name(const mvccpb::Event& event) {
  return event.type() == mvccpb::Event::DELETE ? "DELETE" : "PUT";
}

const char* alarm_name(etcdserverpb::AlarmType alarm) {
  switch (alarm) {
    case etcdserverpb::NONE:
      return "NONE";
    case etcdserverpb::NOSPACE:
      return "NOSPACE";
    case etcdserverpb::CORRUPT:
      return "CORRUPT";
    default:
      return "UNKNOWN";
  }
}

std::vector<std::vector<std::string>> member_rows(const etcdserverpb::MemberListResponse& response) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& member : response.members())
    rows.push_back({hex(member.id()), member.name().empty() ? "unstarted" : "started", member.name(),
                    joined(member.peerurls(), ","), joined(member.clienturls(), ","), truth(member.islearner())});
  return rows;
}

std::vector<std::vector<std::string>> status_rows(const std::vector<EndpointStatus>& endpoints) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [endpoint, status] : endpoints)
    rows.push_back({endpoint, hex(status.header().member_id()), status.version(), status.storageversion(),
                    size_text(status.dbsize()), size_text(status.dbsizeinuse()), percent_not_in_use(status),
                    size_text(status.dbsizequota()), truth(status.leader() == status.header().member_id()),
                    truth(status.islearner()), std::to_string(status.raftterm()), std::to_string(status.raftindex()),
                    std::to_string(status.raftappliedindex()), joined(status.errors(), ", "),
                    status.downgradeinfo().targetversion(), truth(status.downgradeinfo().enabled())});
  return rows;
}

std::vector<std::vector<std::string>> hash_kv_rows(const std::vector<EndpointHashKv>& endpoints) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [endpoint, hash] : endpoints)
    rows.push_back({endpoint, std::to_string(hash.hash()), std::to_string(hash.hash_revision())});
  return rows;
}

}  // namespace etcdpp::ctl

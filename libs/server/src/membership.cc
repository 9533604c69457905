#include "membership.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "errc.h"

namespace etcdpp::server {

namespace {

// Go's encoding/json also escapes <, > and &, and the line separators U+2028 and U+2029.
void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      default:
        if (c < 0x20 || c == '<' || c == '>' || c == '&') {
          out += fmt::format("\\u{:04x}", c);
        } else if (text.substr(i, 3) == "\xe2\x80\xa8" || text.substr(i, 3) == "\xe2\x80\xa9") {
          out += text[i + 2] == '\xa8' ? "\\u2028" : "\\u2029";
          i += 2;
        } else {
          out += static_cast<char>(c);
        }
    }
  }
  out += '"';
}

void append_json_strings(std::string& out, const std::vector<std::string>& texts) {
  out += '[';
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (i != 0) out += ',';
    append_json_string(out, texts[i]);
  }
  out += ']';
}

std::vector<std::string> string_list(const nlohmann::json& object, const char* name) {
  std::vector<std::string> out;
  const auto it = object.find(name);
  if (it == object.end() || !it->is_array()) return out;
  for (const auto& item : *it)
    if (item.is_string()) out.push_back(item.get<std::string>());
  return out;
}

bool boolean(const nlohmann::json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_boolean() && it->get<bool>();
}

}  // namespace

std::string member_json(const MemberRecord& member) {
  std::string out = fmt::format("{{\"id\":{},\"peerURLs\":", member.id);
  append_json_strings(out, member.peer_urls);
  if (member.is_learner) out += ",\"isLearner\":true";
  if (!member.name.empty()) {
    out += ",\"name\":";
    append_json_string(out, member.name);
  }
  if (!member.client_urls.empty()) {
    out += ",\"clientURLs\":";
    append_json_strings(out, member.client_urls);
  }
  return out + '}';
}

base::Result<ConfChangeContext> parse_member_json(std::string_view json) {
  const auto parsed = nlohmann::json::parse(json, nullptr, false);
  if (!parsed.is_object()) return base::Error(Errc::kMalformedEntry, "member JSON is not an object");
  ConfChangeContext context;
  const auto id = parsed.find("id");
  if (id == parsed.end() || !id->is_number_integer())
    return base::Error(Errc::kMalformedEntry, "member JSON has no numeric id");
  context.member.id = id->get<std::uint64_t>();
  context.member.peer_urls = string_list(parsed, "peerURLs");
  context.member.client_urls = string_list(parsed, "clientURLs");
  context.member.is_learner = boolean(parsed, "isLearner");
  context.is_promote = boolean(parsed, "isPromote");
  if (const auto name = parsed.find("name"); name != parsed.end() && name->is_string())
    context.member.name = name->get<std::string>();
  return context;
}

bool Membership::peer_url_used(const MemberRecord& by) const {
  return std::any_of(members_.begin(), members_.end(), [&](const auto& other) {
    return other.first != by.id && std::any_of(by.peer_urls.begin(), by.peer_urls.end(), [&](const std::string& url) {
             return std::ranges::find(other.second.peer_urls, url) != other.second.peer_urls.end();
           });
  });
}

base::Result<> Membership::validate_add(const MemberRecord& member, std::size_t max_learners) const {
  if (removed(member.id)) return base::Error(Errc::kMembershipIdRemoved);
  if (find(member.id)) return base::Error(Errc::kMembershipIdExists);
  if (peer_url_used(member)) return base::Error(Errc::kMembershipPeerUrlExists);
  if (member.is_learner) {
    const auto learners =
        static_cast<std::size_t>(std::ranges::count_if(members_, [](const auto& m) { return m.second.is_learner; }));
    if (learners + 1 > max_learners) return base::Error(Errc::kMembershipTooManyLearners);
  }
  return {};
}

base::Result<> Membership::validate_promote(std::uint64_t id) const {
  if (removed(id)) return base::Error(Errc::kMembershipIdRemoved);
  const MemberRecord* member = find(id);
  if (!member) return base::Error(Errc::kMembershipIdNotFound);
  if (!member->is_learner) return base::Error(Errc::kMembershipNotLearner);
  return {};
}

base::Result<> Membership::validate_update(const MemberRecord& member) const {
  if (removed(member.id)) return base::Error(Errc::kMembershipIdRemoved);
  if (!find(member.id)) return base::Error(Errc::kMembershipIdNotFound);
  if (peer_url_used(member)) return base::Error(Errc::kMembershipPeerUrlExists);
  return {};
}

base::Result<> Membership::validate_remove(std::uint64_t id) const {
  if (removed(id)) return base::Error(Errc::kMembershipIdRemoved);
  if (!find(id)) return base::Error(Errc::kMembershipIdNotFound);
  return {};
}

void Membership::add(MemberRecord member, MembershipRows& rows) {
  rows.put_member(member);
  members_[member.id] = std::move(member);
}

void Membership::promote(std::uint64_t id, MembershipRows& rows) {
  MemberRecord& member = members_.at(id);
  member.is_learner = false;
  rows.put_member(member);
}

void Membership::update_peer_urls(std::uint64_t id, std::vector<std::string> peer_urls, MembershipRows& rows) {
  MemberRecord& member = members_.at(id);
  member.peer_urls = std::move(peer_urls);
  rows.put_member(member);
}

bool Membership::set_attributes(std::uint64_t id, std::string name, std::vector<std::string> client_urls,
                                MembershipRows& rows) {
  const auto it = members_.find(id);
  if (it == members_.end()) return false;
  it->second.name = std::move(name);
  it->second.client_urls = std::move(client_urls);
  rows.put_member(it->second);
  return true;
}

void Membership::remove(std::uint64_t id, MembershipRows& rows) {
  rows.remove_member(id);
  members_.erase(id);
  removed_.insert(id);
}

void Membership::set_cluster_version(std::string version, MembershipRows& rows) {
  rows.put_cluster_version(version);
  cluster_version_ = std::move(version);
}

const MemberRecord* Membership::find(std::uint64_t id) const {
  const auto it = members_.find(id);
  return it == members_.end() ? nullptr : &it->second;
}

}  // namespace etcdpp::server

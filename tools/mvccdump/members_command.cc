#include <nlohmann/json.hpp>

#include "command.h"

namespace etcdpp::mvccdump {

namespace {

std::vector<base::Bytes> strings(const nlohmann::json& object, const char* name) {
  std::vector<base::Bytes> out;
  const auto list = object.find(name);
  if (list == object.end() || !list->is_array()) return out;
  for (const auto& item : *list)
    if (item.is_string()) out.push_back(item.get<std::string>());
  return out;
}

}  // namespace

base::Result<Exit> members_command(Context& context) {
  ETCDPP_ASSIGN(const auto source, context.open(context.options.path));
  ETCDPP_TRY(source->scan(Bucket::kMembers, [&](const Row& row) -> base::Result<> {
    if (!row.intact) ++context.bad_checksums;
    const auto member = nlohmann::json::parse(row.value, nullptr, false);
    if (!member.is_object()) {
      ++context.undecodable;
      return {};
    }
    const auto name = member.find("name");
    const auto learner = member.find("isLearner");
    context.printer.print({{"id", Data{base::Bytes(row.key)}},
                           {"state", Text{"member"}},
                           {"name", Data{name != member.end() && name->is_string() ? name->get<std::string>() : ""}},
                           {"peer_urls", DataList{strings(member, "peerURLs")}},
                           {"client_urls", DataList{strings(member, "clientURLs")}},
                           {"is_learner", learner != member.end() && learner->is_boolean() && learner->get<bool>()}});
    return context.go_on();
  }));
  ETCDPP_TRY(source->scan(Bucket::kMembersRemoved, [&](const Row& row) -> base::Result<> {
    if (!row.intact) ++context.bad_checksums;
    context.printer.print({{"id", Data{base::Bytes(row.key)}}, {"state", Text{"removed"}}, {"name", None{}},
                           {"peer_urls", None{}}, {"client_urls", None{}}, {"is_learner", None{}}});
    return context.go_on();
  }));
  return Exit::kFine;
}

}  // namespace etcdpp::mvccdump

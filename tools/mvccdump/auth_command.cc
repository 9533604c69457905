#include <authpb/auth.pb.h>

#include "command.h"
#include "message_parse.h"

namespace etcdpp::mvccdump {

namespace {

const char* permission_name(authpb::Permission_Type type) {
  switch (type) {
    case authpb::Permission::READ: return "READ";
    case authpb::Permission::WRITE: return "WRITE";
    case authpb::Permission::READWRITE: return "READWRITE";
    default: return "UNKNOWN";
  }
}

std::string data_json(const char* name, base::BytesView bytes) {
  return is_utf8(bytes) ? json_string(name) + ':' + json_string(bytes) : '"' + std::string(name) + "_hex\":\"" + base::hex(bytes) + '"';
}

std::string permissions_json(const authpb::Role& role) {
  std::string out = "[";
  for (const auto& permission : role.keypermission()) {
    out += std::string(out.size() > 1 ? "," : "") + R"({"type":")" + permission_name(permission.permtype()) + "\"," + data_json("key", permission.key());
    if (!permission.range_end().empty()) out += ',' + data_json("range_end", permission.range_end());
    out += '}';
  }
  return out + ']';
}

std::string permissions_text(const authpb::Role& role) {
  std::string out;
  for (const auto& permission : role.keypermission()) {
    out += std::string(out.empty() ? "" : ", ") + permission_name(permission.permtype()) + ' ' + in_quotes(permission.key());
    if (!permission.range_end().empty()) out += ".." + in_quotes(permission.range_end());
  }
  return out.empty() ? "-" : out;
}

}  // namespace

base::Result<Exit> auth_command(Context& context) {
  ETCDPP_ASSIGN(const auto source, context.open(context.options.path));
  Printer& printer = context.printer;
  bool enabled = false;
  std::uint64_t revision = 0;
  ETCDPP_TRY(source->scan(Bucket::kAuth, [&](const Row& row) -> base::Result<> {
    if (!row.intact) ++context.bad_checksums;
    if (row.key == "authEnabled" && row.value.size() == 1) enabled = row.value[0] == 1;
    if (row.key == "authRevision" && row.value.size() == 8) revision = base::get_be64(row.value.data());
    return {};
  }));
  printer.print_list({{"enabled", enabled}, {"revision", revision}});
  printer.begin_table("Users");
  ETCDPP_TRY(source->scan(Bucket::kAuthUsers, [&](const Row& row) -> base::Result<> {
    authpb::User user;
    if (!row.intact) ++context.bad_checksums;
    if (!parse(row.value, user)) {
      ++context.undecodable;
      return {};
    }
    // The hash of a password is a secret: only whether there is one.
    printer.print({{"user", Data{base::Bytes(row.key)}},
                   {"roles", DataList{{user.roles().begin(), user.roles().end()}}},
                   {"has_password", !user.password().empty()},
                   {"no_password", user.options().no_password()}});
    return context.go_on();
  }));
  printer.begin_table("Roles");
  ETCDPP_TRY(source->scan(Bucket::kAuthRoles, [&](const Row& row) -> base::Result<> {
    authpb::Role role;
    if (!row.intact) ++context.bad_checksums;
    if (!parse(row.value, role)) {
      ++context.undecodable;
      return {};
    }
    const bool json = printer.format() == Format::kJson;
    printer.print({{"role", Data{base::Bytes(row.key)}},
                   json ? Field{"permissions", Json{permissions_json(role)}} : Field{"permissions", Text{permissions_text(role)}}});
    return context.go_on();
  }));
  return Exit::kFine;
}

}  // namespace etcdpp::mvccdump

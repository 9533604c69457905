#include "config_file.h"

#include <span>

#include <yaml-cpp/yaml.h>

#include <etcdpp/config/errc.h>

#include "flag_table.h"
#include "go_syntax.h"

namespace etcdpp::config {

namespace {

base::Error refuse_file(std::string what) { return {Errc::kInvalidFile, std::move(what)}; }

std::string_view kind_of(const YAML::Node& node) {
  if (node.IsMap()) return "a map";
  if (node.IsSequence()) return "a list";
  return "a scalar";
}

base::Result<> read_list(const std::string& key, const YAML::Node& node, std::vector<std::string>& out) {
  if (node.IsNull()) return {};
  if (!node.IsSequence()) return refuse_file(key + " must be a list, not " + std::string(kind_of(node)));
  out.clear();
  for (const YAML::Node& item : node) {
    if (!item.IsScalar()) return refuse_file(key + " must be a list of texts");
    out.push_back(item.Scalar());
  }
  return {};
}

/// A flag's value under `key`. Only what the flag's type needs differs from the command line: durations and lists.
base::Result<> read_value(const std::string& key, const YAML::Node& node, const Flag& flag, Config& config) {
  if (node.IsNull()) return {};
  const Field field = flag.field(config);
  if (const auto* list = std::get_if<std::vector<std::string>*>(&field)) return read_list(key, node, **list);
  if (!node.IsScalar()) return refuse_file(key + " must be a scalar, not " + std::string(kind_of(node)));
  const std::string& text = node.Scalar();
  if (const auto* duration = std::get_if<base::Duration*>(&field)) {
    std::int64_t nanoseconds = 0;
    if (parse_go_signed(text, nanoseconds) != NumberError::kNone) {
      return refuse_file(key + " must be a number of nanoseconds, not " + quoted(text));
    }
    **duration = base::Duration(nanoseconds);
    return {};
  }
  if (const auto* flagged = std::get_if<bool*>(&field)) {
    bool value = false;
    if (!YAML::convert<bool>::decode(node, value)) return refuse_file(key + " must be true or false, not " + quoted(text));
    **flagged = value;
    return {};
  }
  // Which words are allowed is validate()'s business here, as in etcd.
  Flag any_word = flag;
  any_word.choices = {};
  if (const auto reason = set_flag(any_word, config, text)) {
    if (std::holds_alternative<std::vector<Url>*>(field)) return refuse_file("unexpected error setting up " + key + ": " + *reason);
    if (key == "feature-gates") return refuse_file(*reason);
    return refuse_file(key + ": invalid value " + quoted(text) + ": " + *reason);
  }
  return {};
}

struct Alias {
  std::string_view key;
  std::string_view flag;
};

/// A map in the file whose keys are flags under other names.
base::Result<> read_section(const std::string& section, const YAML::Node& node, std::span<const Alias> aliases, Config& config) {
  if (node.IsNull()) return {};
  if (!node.IsMap()) return refuse_file(section + " must be a map, not " + std::string(kind_of(node)));
  for (const Alias& alias : aliases) {
    const YAML::Node value = node[std::string(alias.key)];
    if (!value.IsDefined()) continue;
    ETCDPP_TRY(read_value(section + "." + std::string(alias.key), value, *find_flag(alias.flag), config));
  }
  return {};
}

constexpr Alias kClientTls[] = {{"cert-file", "cert-file"},
                                {"key-file", "key-file"},
                                {"client-cert-file", "client-cert-file"},
                                {"client-key-file", "client-key-file"},
                                {"client-cert-auth", "client-cert-auth"},
                                {"trusted-ca-file", "trusted-ca-file"},
                                {"auto-tls", "auto-tls"},
                                {"allowed-hostname", "client-cert-allowed-hostname"}};
constexpr Alias kPeerTls[] = {{"cert-file", "peer-cert-file"},
                              {"key-file", "peer-key-file"},
                              {"client-cert-file", "peer-client-cert-file"},
                              {"client-key-file", "peer-client-key-file"},
                              {"client-cert-auth", "peer-client-cert-auth"},
                              {"trusted-ca-file", "peer-trusted-ca-file"},
                              {"auto-tls", "peer-auto-tls"},
                              {"allowed-cn", "peer-cert-allowed-cn"},
                              {"allowed-hostname", "peer-cert-allowed-hostname"},
                              {"skip-client-san-verification", "peer-skip-client-san-verification"}};
constexpr Alias kSocket[] = {{"reuse-port", "socket-reuse-port"}, {"reuse-address", "socket-reuse-address"}};
constexpr Alias kDiscovery[] = {{"token", "discovery-token"}};
constexpr Alias kDiscoveryClient[] = {{"endpoints", "discovery-endpoints"},
                                      {"request-timeout", "discovery-request-timeout"},
                                      {"dial-timeout", "discovery-dial-timeout"},
                                      {"keepalive-time", "discovery-keepalive-time"},
                                      {"keepalive-timeout", "discovery-keepalive-timeout"}};
constexpr Alias kDiscoverySecure[] = {{"cert", "discovery-cert"},
                                      {"key", "discovery-key"},
                                      {"cacert", "discovery-cacert"},
                                      {"insecure-transport", "discovery-insecure-transport"},
                                      {"insecure-skip-tls-verify", "discovery-insecure-skip-tls-verify"}};
constexpr Alias kDiscoveryAuth[] = {{"username", "discovery-user"}, {"password", "discovery-password"}};

/// Flags that the file knows only inside a map, or not at all.
bool only_elsewhere(std::string_view name) {
  static constexpr std::string_view kNot[] = {"raft-read-timeout", "raft-write-timeout", "client-crl-file",
                                              "peer-crl-file", "socket-reuse-port", "socket-reuse-address",
                                              "peer-skip-client-san-verification"};
  for (const std::string_view other : kNot) {
    if (other == name) return true;
  }
  const auto in = [&](std::span<const Alias> aliases) {
    for (const Alias& alias : aliases) {
      if (alias.flag == name) return true;
    }
    return false;
  };
  return in(kClientTls) || in(kPeerTls) || in(kDiscovery) || in(kDiscoveryClient) || in(kDiscoverySecure) || in(kDiscoveryAuth);
}

base::Result<> read_document(const YAML::Node& root, Config& config) {
  if (root.IsNull()) return {};
  if (!root.IsMap()) return refuse_file("the file must hold a map of flag names, not " + std::string(kind_of(root)));
  for (const Flag& flag : flag_table()) {
    if (only_elsewhere(flag.name)) continue;
    const std::string key(flag.name);
    const YAML::Node value = root[key];
    if (!value.IsDefined()) continue;
    ETCDPP_TRY(read_value(key, value, flag, config));
  }
  const auto section = [&](const char* key, std::span<const Alias> aliases) -> base::Result<> {
    const YAML::Node node = root[key];
    return node.IsDefined() ? read_section(key, node, aliases, config) : base::Result<>();
  };
  ETCDPP_TRY(section("client-transport-security", kClientTls));
  ETCDPP_TRY(section("peer-transport-security", kPeerTls));
  ETCDPP_TRY(section("socket-options", kSocket));
  ETCDPP_TRY(section("discovery-config", kDiscovery));
  if (const YAML::Node discovery = root["discovery-config"]; discovery.IsDefined() && discovery.IsMap()) {
    if (const YAML::Node client = discovery["client"]; client.IsDefined()) {
      ETCDPP_TRY(read_section("discovery-config.client", client, kDiscoveryClient, config));
      if (!client.IsMap()) return {};
      if (const YAML::Node secure = client["secure"]; secure.IsDefined()) {
        ETCDPP_TRY(read_section("discovery-config.client.secure", secure, kDiscoverySecure, config));
      }
      if (const YAML::Node auth = client["auth"]; auth.IsDefined()) {
        ETCDPP_TRY(read_section("discovery-config.client.auth", auth, kDiscoveryAuth, config));
      }
    }
  }
  return {};
}

}  // namespace

base::Result<> read_config_file(std::string_view text, Config& config) {
  // yaml-cpp reports by exception: caught here, at the only call into it.
  try {
    return read_document(YAML::Load(std::string(text)), config);
  } catch (const YAML::Exception& e) {
    return refuse_file(std::string("error converting YAML to JSON: ") + e.what());
  }
}

}  // namespace etcdpp::config

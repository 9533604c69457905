#include "globals.h"

#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <iostream>
#include <set>

#include "zap_log.h"

namespace etcdpp::ctl {
namespace {

constexpr std::string_view kPrefix = "ETCDCTL_";

std::string variable_of(std::string_view flag) {
  std::string out(kPrefix);
  for (char c : flag) out += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

/// One line from the terminal, not shown while typed.
std::string ask_password() {
  std::cerr << "Password: " << std::flush;
  termios shown{};
  const bool terminal = tcgetattr(STDIN_FILENO, &shown) == 0;
  if (terminal) {
    termios hidden = shown;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &hidden);
  }
  std::string line;
  std::getline(std::cin, line);
  if (terminal) tcsetattr(STDIN_FILENO, TCSANOW, &shown);
  std::cerr << '\n';
  return line;
}

std::chrono::milliseconds milliseconds(std::chrono::nanoseconds duration) {
  return std::chrono::ceil<std::chrono::milliseconds>(duration);
}

Outcome<client::TlsOptions> tls_options(const Flags& flags) {
  for (const char* file : {"cert", "key", "cacert"})
    if (flags.changed(file) && flags.text(file).empty())
      return fail(kBadArgs, std::string("empty string is passed to --") + file + " option");
  client::TlsOptions tls;
  tls.cert_file = flags.text("cert");
  tls.key_file = flags.text("key");
  tls.ca_file = flags.text("cacert");
  tls.skip_verify = flags.boolean("insecure-skip-tls-verify");
  if (tls.cert_file.empty() != tls.key_file.empty())
    return fail(kBadArgs,
                "KeyFile and CertFile must both be present[key: " + tls.key_file + ", cert: " + tls.cert_file + "]");
  tls.enabled =
      !tls.cert_file.empty() || !tls.ca_file.empty() || tls.skip_verify || !flags.boolean("insecure-transport");
  return tls;
}

}  // namespace

std::vector<FlagSpec> global_flags() {
  using enum FlagKind;
  return {
      {"endpoints", 0, kList, "127.0.0.1:2379", "addresses of members, separated by commas"},
      {"write-out", 'w', kText, "simple", "output format: fields, json, protobuf, simple or table"},
      {"hex", 0, kBool, "false", "print byte strings as hexadecimal escapes"},
      {"debug", 0, kBool, "false", "print the settings in force to standard error"},
      {"dial-timeout", 0, kDuration, "2s", "how long authentication may take"},
      {"command-timeout", 0, kDuration, "5s", "how long a short command may take"},
      {"keepalive-time", 0, kDuration, "2s", "silence on a connection before it is pinged (at least 10s)"},
      {"keepalive-timeout", 0, kDuration, "6s", "silence after a ping before the connection is given up"},
      {"max-request-bytes", 0, kInt, "0", "largest request to send (0: 2 MiB)"},
      {"max-recv-bytes", 0, kInt, "0", "largest answer to accept (0: 2 GiB)"},
      {"insecure-transport", 0, kBool, "true", "connect without TLS unless something asks for it"},
      {"insecure-skip-tls-verify", 0, kBool, "false", "accept any server certificate (for experiments only)"},
      {"insecure-discovery", 0, kBool, "true", "accept discovered endpoints without TLS"},
      {"discovery-srv", 'd', kText, "", "domain whose SRV records list the endpoints"},
      {"discovery-srv-name", 0, kText, "", "suffix of the SRV service name"},
      {"cert", 0, kText, "", "certificate file of this client"},
      {"key", 0, kText, "", "key file of this client"},
      {"cacert", 0, kText, "", "file with the authorities that server certificates are checked against"},
      {"user", 0, kText, "", "username[:password]; a missing password is asked for"},
      {"password", 0, kText, "", "password, if it is not part of --user"},
      {"auth-jwt-token", 0, kText, "", "token to send instead of logging in"},
  };
}

std::string settings_text(const Flags& flags) {
  std::vector<std::string> lines;
  for (const FlagSpec& spec : global_flags())
    for (const auto& flag : flags.all())
      if (flag.spec.name == std::string_view(spec.name))
        lines.push_back(variable_of(spec.name) + "=" + flag.value + "\n");
  std::sort(lines.begin(), lines.end());
  std::string out;
  for (const auto& line : lines) out += line;
  return out;
}

Outcome<> apply_environment(Flags& flags, char** environment, std::ostream& err) {
  const auto globals = global_flags();
  std::vector<std::string> unknown;
  for (char** entry = environment; *entry; ++entry) {
    const std::string_view text = *entry;
    if (!text.starts_with(kPrefix)) continue;
    const auto equals = text.find('=');
    const std::string_view name = text.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? "" : text.substr(equals + 1);
    auto flag = std::find_if(globals.begin(), globals.end(),
                             [&](const FlagSpec& spec) { return variable_of(spec.name) == name; });
    if (flag == globals.end()) {
      if (name != "ETCDCTL_WATCH_KEY" && name != "ETCDCTL_WATCH_RANGE_END") unknown.emplace_back(text);
      continue;
    }
    if (flags.changed(flag->name)) {
      err << zap_line(base::LogLevel::kFatal, "", "globals.cc",
                      "conflicting environment variable is shadowed by corresponding command-line flag (either unset "
                      "environment variable or disable flag))",
                      {{"environment-variable", name}});
      return fail(kError, "");
    }
    if (value.empty()) continue;
    // A value that cannot be read leaves the default, as in etcdctl, but is said.
    if (auto done = flags.set(flag->name, value); !done)
      err << zap_line(base::LogLevel::kWarn, "", "globals.cc", "ignored environment variable",
                      {{"environment-variable", text}, {"error", done.error()}});
  }
  for (const auto& variable : unknown)
    err << zap_line(base::LogLevel::kWarn, "", "globals.cc", "unrecognized environment variable",
                    {{"environment-variable", variable}});
  return {};
}

Outcome<client::Options> client_options(const Flags& flags) {
  if (!flags.text("discovery-srv").empty()) return fail(kBadArgs, "--discovery-srv is not supported yet");
  client::Options options;
  options.endpoints.clear();
  for (const auto& endpoint : flags.list("endpoints"))
    if (!endpoint.empty()) options.endpoints.push_back(endpoint);
  options.dial_timeout = milliseconds(flags.duration("dial-timeout"));
  options.keepalive_time = milliseconds(flags.duration("keepalive-time"));
  options.keepalive_timeout = milliseconds(flags.duration("keepalive-timeout"));
  if (const auto bytes = flags.integer("max-request-bytes"); bytes > 0) options.max_send_bytes = bytes;
  if (const auto bytes = flags.integer("max-recv-bytes"); bytes > 0) options.max_receive_bytes = bytes;

  auto tls = tls_options(flags);
  if (!tls) return std::unexpected(tls.error());
  options.tls = std::move(*tls);

  options.token = flags.text("auth-jwt-token");
  const std::string& user = flags.text("user");
  if (user.empty()) {
    if (!flags.text("password").empty()) return fail(kBadArgs, "--password needs --user");
    return options;
  }
  if (!options.token.empty()) return fail(kBadArgs, "--auth-jwt-token and --user cannot be set at the same time");
  if (flags.changed("password")) {
    options.username = user;
    options.password = flags.text("password");
  } else if (const auto colon = user.find(':'); colon != std::string::npos) {
    options.username = user.substr(0, colon);
    options.password = user.substr(colon + 1);
  } else {
    options.username = user;
    options.password = ask_password();
  }
  return options;
}

}  // namespace etcdpp::ctl

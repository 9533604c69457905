#include <etcdpp/config/flags.h>

#include <algorithm>
#include <set>

#include <etcdpp/config/errc.h>
#include <etcdpp/config/supported.h>

#include "config_file.h"
#include "flag_table.h"
#include "go_syntax.h"

namespace etcdpp::config {

namespace {

using base::LogField;
using base::LogLevel;

constexpr std::string_view kUsage =
    "Usage:\n\n"
    "  etcdppd [flags]\n"
    "    Start a server.\n\n"
    "  etcdppd --version\n"
    "    Show the version.\n\n"
    "  etcdppd -h | --help\n"
    "    Show the flags.\n\n"
    "  etcdppd --config-file\n"
    "    Path of a file with the server's settings. All other flags and ETCD_* variables are then without effect.\n\n";

constexpr std::uint64_t kMaxConfigFileBytes = 1 << 20;

std::string environment_name(std::string_view flag) {
  std::string name = "ETCD_";
  for (const char c : flag) name += c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return name;
}

bool has_prefix(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

/// One run of the parser; each step returns false when the outcome is decided.
class Parser {
 public:
  Parser(std::string_view program, std::span<const std::string> arguments, std::span<const std::string> environment,
         base::Env& files)
      : program_(program), arguments_(arguments), environment_(environment), files_(files) {}

  CommandLine run() {
    if (read_arguments() && read_settings()) finish();
    return std::move(result_);
  }

 private:
  /// Wrong use: reason and usage, without a log line.
  bool usage_error(std::string reason) {
    result_.exit_code = 2;
    result_.err = std::move(reason) + "\n" + std::string(kUsage);
    return false;
  }

  void running_line() {
    std::vector<std::string> args{std::string(program_)};
    args.insert(args.end(), arguments_.begin(), arguments_.end());
    log(LogLevel::kInfo, "Running: ", {{"args", std::move(args)}});
  }

  bool refused(const std::string& why) {
    result_.exit_code = 1;
    running_line();
    log(LogLevel::kWarn, "failed to verify flags", {{"error", why}});
    if (has_prefix(why, "--advertise-client-urls is required")) {
      log(LogLevel::kWarn, "advertise client URLs are not set", {{"error", why}});
    }
    return false;
  }

  void log(LogLevel level, std::string message, std::vector<LogField> fields) {
    result_.lines.push_back({level, std::move(message), std::move(fields)});
  }

  bool read_arguments() {
    std::size_t i = 0;
    for (; i < arguments_.size(); ++i) {
      const std::string& argument = arguments_[i];
      if (argument.size() < 2 || argument[0] != '-') break;
      std::string_view name(argument);
      name.remove_prefix(argument[1] == '-' ? 2 : 1);
      if (name.empty()) {  // "--" ends the flags
        ++i;
        break;
      }
      if (name[0] == '-' || name[0] == '=') return usage_error("bad flag syntax: " + argument);
      std::optional<std::string_view> value;
      if (const std::size_t equals = name.find('='); equals != std::string_view::npos) {
        value = name.substr(equals + 1);
        name = name.substr(0, equals);
      }
      if (!read_flag(std::string(name), value, i)) return false;
    }
    if (i < arguments_.size()) return refused(quoted(arguments_[i]) + " is not a valid flag");
    if (show_version_) {
      result_.out = version_text();
      return false;
    }
    return true;
  }

  bool read_flag(const std::string& name, std::optional<std::string_view> value, std::size_t& i) {
    if (name == "version" || is_ignored_flag(name)) {
      const auto on = parse_go_bool(value.value_or("true"));
      if (name == "version" && !on) return bad_boolean(*value, name);
      if (name == "version") show_version_ = *on;
      return true;
    }
    const Flag* flag = find_flag(name);
    if (!flag && name != "config-file") {
      if (name != "help" && name != "h") return usage_error("flag provided but not defined: -" + name);
      result_.err = kUsage;
      result_.out = help_text();
      return false;
    }
    const bool boolean = flag && is_boolean(*flag);
    if (!value && boolean) value = "true";
    if (!value) {
      if (i + 1 >= arguments_.size()) return usage_error("flag needs an argument: -" + name);
      value = arguments_[++i];
    }
    given_.insert(name);
    if (!flag) {
      result_.config.config_file = *value;
      return true;
    }
    if (const auto reason = set_flag(*flag, result_.config, *value)) {
      if (boolean) return bad_boolean(*value, name);
      const std::string detail = flag->name == "v2-deprecation" ? *reason + " " + quoted(*value) : *reason;
      return usage_error("invalid value " + quoted(*value) + " for flag -" + name + ": " + detail);
    }
    return true;
  }

  bool bad_boolean(std::string_view value, const std::string& name) {
    return usage_error("invalid boolean value " + quoted(value) + " for -" + name + ": parse error");
  }

  bool read_settings() {
    if (result_.config.config_file.empty()) {
      for (const std::string& variable : environment_) {
        if (has_prefix(variable, "ETCD_CONFIG_FILE=")) result_.config.config_file = variable.substr(17);
      }
    }
    if (!result_.config.config_file.empty()) return read_file();
    if (!read_environment()) return false;
    validation_.listen_client_urls = given_.contains("listen-client-urls");
    validation_.advertise_client_urls = given_.contains("advertise-client-urls");
    if (given_.contains("max-snapshots")) {
      log(LogLevel::kWarn, "--max-snapshots is deprecated in 3.6 and will be decommissioned in 3.8.", {});
    }
    if (given_.contains("v2-deprecation")) {
      log(LogLevel::kWarn,
          "--v2-deprecation is deprecated and scheduled for removal in v3.8. The default value is enforced, "
          "ignoring user input.",
          {});
      result_.config.v2_deprecation = "write-only";
    }
    return true;
  }

  bool read_environment() {
    std::set<std::string> used;
    const auto flag_of = [](std::string_view variable) -> std::string {
      for (const Flag& flag : flag_table()) {
        if (environment_name(flag.name) == variable) return std::string(flag.name);
      }
      return variable == "ETCD_CONFIG_FILE" ? "config-file" : "";
    };
    for (const std::string& entry : environment_) {
      const std::size_t equals = std::min(entry.find('='), entry.size());
      const std::string variable = entry.substr(0, equals);
      if (!has_prefix(variable, "ETCD_")) continue;
      const std::string value = equals < entry.size() ? entry.substr(equals + 1) : "";
      const std::string name = flag_of(variable);
      const Flag* flag = find_flag(name);
      if (!flag || value.empty() || given_.contains(name)) continue;
      if (const auto reason = set_flag(*flag, result_.config, value)) {
        return refused("invalid value " + quoted(value) + " for " + variable + ": " + *reason);
      }
      used.insert(name);
      log(LogLevel::kInfo, "recognized and used environment variable", {{"variable-name", variable}, {"variable-value", value}});
    }
    for (const std::string& entry : environment_) {
      const std::string variable = entry.substr(0, entry.find('='));
      if (!has_prefix(variable, "ETCD_")) continue;
      const std::string name = flag_of(variable);
      if (!name.empty() && used.contains(name)) continue;
      if (!name.empty() && given_.contains(name)) {
        result_.exit_code = 1;
        log(LogLevel::kFatal,
            "conflicting environment variable is shadowed by corresponding command-line flag (either unset environment "
            "variable or disable flag))",
            {{"environment-variable", variable}});
        return false;
      }
      if (variable == "ETCD_VERSION") {
        log(LogLevel::kWarn, "cannot set special environment variable",
            {{"key", variable}, {"value", entry.substr(std::min(entry.size(), variable.size() + 1))}});
      } else if (variable != "ETCD_UNSUPPORTED_ARCH") {
        log(LogLevel::kWarn, "unrecognized environment variable", {{"environment-variable", entry}});
      }
    }
    given_.insert(used.begin(), used.end());
    return true;
  }

  bool read_file() {
    const std::string path = result_.config.config_file;
    result_.config = Config{};
    result_.config.config_file = path;
    auto text = file_text(path);
    if (!text) return refused(text.error().context);
    if (auto read = read_config_file(*text, result_.config); !read) {
      if (has_prefix(read.error().context, "unexpected error setting up")) {
        result_.exit_code = 1;
        result_.err = read.error().context + "\n";
        return false;
      }
      return refused(read.error().context);
    }
    log(LogLevel::kInfo,
        "loaded server configuration, other configuration command line flags and environment variables will be ignored "
        "if provided",
        {{"path", path}});
    return true;
  }

  base::Result<std::string> file_text(const std::string& path) {
    const auto refuse = [&](const base::Error& e) {
      std::string why = e.code.message();
      if (e.code == std::errc::no_such_file_or_directory) why = "no such file or directory";
      return base::Error(Errc::kInvalidFile, "open " + path + ": " + why);
    };
    auto file = files_.open(path, base::OpenMode::kReadOnly);
    if (!file) return refuse(file.error());
    const auto size = (*file)->size();
    if (!size) return refuse(size.error());
    if (*size > kMaxConfigFileBytes) {
      return base::Error(Errc::kInvalidFile, "open " + path + ": larger than 1 MiB, which no configuration file is");
    }
    std::string text(*size, '\0');
    const auto read = (*file)->read_at(0, text.data(), text.size());
    if (!read) return refuse(read.error());
    text.resize(*read);
    return text;
  }

  void finish() {
    Config& config = result_.config;
    if (config.listen_client_http_urls.empty()) {
      log(LogLevel::kWarn, "Running http and grpc server on single port. This is not recommended for production.", {});
    }
    if (const auto valid = validate(config, validation_); !valid) {
      refused(valid.error().context);
      return;
    }
    if (const auto options = log_options(config); !options) {
      refused(options.error().context);
      return;
    }
    if (config.name == Config{}.name) {
      log(LogLevel::kWarn,
          "it isn't recommended to use default name, please set a value for --name. Note that etcd might run into issue "
          "when multiple members have the same default name",
          {{"name", config.name}});
    }
    if (const auto supported = check_supported(config); !supported) {
      refused(supported.error().context + " is not supported yet");
      return;
    }
    running_line();
    if (config.data_dir.empty()) {
      log(LogLevel::kWarn, "'data-dir' was empty; using default", {{"data-dir", config.effective_data_dir()}});
    }
    if (const auto valid = validate_listeners(config); !valid) {
      result_.exit_code = 1;
      log(LogLevel::kFatal, "discovery failed", {{"error", valid.error().context}});
      return;
    }
    result_.run = true;
  }

  const std::string_view program_;
  const std::span<const std::string> arguments_;
  const std::span<const std::string> environment_;
  base::Env& files_;
  CommandLine result_;
  std::set<std::string> given_;
  Given validation_;
  bool show_version_ = false;
};

}  // namespace

CommandLine parse_command_line(std::string_view program, std::span<const std::string> arguments,
                               std::span<const std::string> environment, base::Env& files) {
  return Parser(program, arguments, environment, files).run();
}

base::Result<LogOptions> log_options(const Config& config) {
  return log_options(config.log_level, config.log_format, config.log_outputs);
}

}  // namespace etcdpp::config

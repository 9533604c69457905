#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <etcdpp/base/env.h>
#include <etcdpp/base/logger.h>
#include <etcdpp/config/config.h>
#include <etcdpp/config/zap_logger.h>

namespace etcdpp::config {

/// Something to be logged once the logger stands.
struct StartupLine {
  base::LogLevel level = base::LogLevel::kInfo;
  std::string message;
  std::vector<base::LogField> fields;
};

/// What the command line, the environment and the configuration file came to.
///
/// The daemon prints `out` to standard output and `err` to standard error; ends with `exit_code` if `run` is false and
/// `lines` is empty; else opens a logger (log_options(config), or LogOptions{} where that fails), writes `lines`, and ends
/// with `exit_code` if `run` is false.
struct CommandLine {
  bool run = false;
  int exit_code = 0;
  std::string out;
  std::string err;
  std::vector<StartupLine> lines;
  Config config;
};

/// Parses Go-style flags (`-x v`, `--x=v`, booleans `--x` or `--x=false`), `ETCD_*` variables ("NAME=value") and
/// `--config-file`, validates, and refuses what is not supported yet.
///
/// `arguments` are those after the program's name; `program` appears in the log. Reads the configuration file through
/// `files` and nothing else. Never throws, never exits.
CommandLine parse_command_line(std::string_view program, std::span<const std::string> arguments,
                               std::span<const std::string> environment, base::Env& files);

/// What `--log-level`, `--log-format` and `--log-outputs` come to.
base::Result<LogOptions> log_options(const Config& config);

/// `--help`: every flag with its default, under etcd's headings.
std::string help_text();
/// `--version`.
std::string version_text();

}  // namespace etcdpp::config

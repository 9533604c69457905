#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include <etcdpp/config/config.h>

namespace etcdpp::config {

/// A comma list that etcd keeps sorted and without doubles (cors, host-whitelist).
struct StringSet {
  std::vector<std::string>* values;
};

/// Where a flag's value lives in a Config, by type.
using Field = std::variant<std::string*, std::optional<std::string>*, bool*, std::int64_t*, std::uint64_t*,
                           std::uint32_t*, base::Duration*, milliseconds*, std::vector<Url>*,
                           std::vector<std::string>*, StringSet>;

enum class Group { kMember, kClustering, kSecurity, kAuth, kMonitoring, kLogging, kTracing, kFeatures, kUnsafe };

struct Flag {
  Group group;
  std::string_view name;
  Field (*field)(Config&);
  /// What --help shows beside the name where that is not the default as text.
  std::string_view shown;
  std::string_view help;
  /// Space-separated words, the only ones accepted; empty: any.
  std::string_view choices = {};
};

/// Every flag but --config-file, --version and --help, in the order of --help.
std::span<const Flag> flag_table();
const Flag* find_flag(std::string_view name);
std::string_view group_title(Group group);

bool is_boolean(const Flag& flag);
/// Sets the flag from text; nullopt on success, else Go's reason ("parse error").
std::optional<std::string> set_flag(const Flag& flag, Config& config, std::string_view text);
/// The value as text, equal for equal values.
std::string flag_text(const Flag& flag, const Config& config);

/// Flags of long ago, accepted and without effect.
bool is_ignored_flag(std::string_view name);

}  // namespace etcdpp::config

#include "log_files.h"

#include <optional>

#include <etcdpp/wal/errc.h>

namespace etcdpp::wal {

namespace {

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }
std::string_view folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

std::string hole(const std::string& before, const std::string& after) {
  const auto a = parse_segment_name(base_name(before));
  const auto b = parse_segment_name(base_name(after));
  if (!a || !b || b->sequence == a->sequence + 1) return {};
  return "between " + std::string(base_name(before)) + " and " + std::string(base_name(after));
}

base::Result<LogFiles> in_directory(base::Env& env, const std::string& path, std::vector<std::string> names) {
  LogFiles log;
  log.name = path;
  log.whole_directory = true;
  for (const std::string& inner : {wal_directory(path), path + "/wal"}) {
    if (auto listed = env.list(inner)) {
      log.name = inner;
      names = std::move(*listed);
      const std::string snap = std::string(folder_of(inner)) + "/snap";
      if (env.list(snap)) log.snap_directory = snap;
      break;
    }
  }
  for (const std::string& name : names) {
    if (name.ends_with(".wal.broken")) log.kept_copies.push_back(name);
    if (name == "0.tmp" || name == "1.tmp") log.in_preparation.push_back(name);
    if (!parse_segment_name(name)) continue;
    const std::string file = log.name + "/" + name;
    if (!log.files.empty() && log.missing.empty()) log.missing = hole(log.files.back(), file);
    log.files.push_back(file);
  }
  if (log.files.empty()) return base::Error(Errc::kFileNotFound, path + " holds no WAL segments");
  return log;
}

// Whether this file goes on where the last of these ends.
bool continues(const LogFiles& log, const std::string& path) {
  if (log.whole_directory) return false;
  const auto before = parse_segment_name(base_name(log.files.back()));
  const auto here = parse_segment_name(base_name(path));
  return before && here && here->sequence > before->sequence && folder_of(log.files.back()) == folder_of(path);
}

}  // namespace

bool LogFiles::from_first() const {
  const auto id = parse_segment_name(base_name(files.front()));
  return id && id->sequence == 0;
}

base::Result<std::vector<LogFiles>> find_logs(base::Env& env, std::span<const std::string> paths) {
  std::vector<LogFiles> logs;
  for (std::string path : paths) {
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    auto names = env.list(path);
    if (names) {
      ETCDPP_ASSIGN(LogFiles log, in_directory(env, path, std::move(*names)));
      logs.push_back(std::move(log));
      continue;
    }
    if (names.error().code != std::errc::not_a_directory) return names.error();
    if (!logs.empty() && continues(logs.back(), path)) {
      LogFiles& log = logs.back();
      if (log.missing.empty()) log.missing = hole(log.files.back(), path);
      log.files.push_back(path);
      log.name = folder_of(path).empty() ? "." : folder_of(path);
    } else {
      LogFiles log;
      log.name = path;
      log.files = {path};
      logs.push_back(std::move(log));
    }
  }
  return logs;
}

}  // namespace etcdpp::wal

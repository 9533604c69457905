#pragma once

#include <string>

#include <etcdpp/base/env.h>

namespace etcdpp::backend {

/// Where things are below a --data-dir.
struct DatabasePaths {
  explicit DatabasePaths(const std::string& data_dir)
      : member(data_dir + "/member"),
        etcd_database(member + "/snap/db"),
        directory(member + "/etcdpp"),
        lock(directory + "/lock"),
        database(directory + "/data.lmdb"),
        unfinished(database + ".new") {}

  std::string member, etcd_database, directory, lock, database;
  /// A database that is being made; complete, it is renamed to `database`. What is found at open was never finished.
  std::string unfinished;
};

/// LMDB's lock file beside a database file.
inline std::string lock_file_of(const std::string& database) { return database + "-lock"; }

inline base::Result<> remove_if_there(base::Env& env, const std::string& path) {
  if (!env.exists(path)) return {};
  return env.remove(path);
}

}  // namespace etcdpp::backend

#include <cerrno>

#include "dump.h"

namespace etcdpp::mvccdump {

base::Result<std::string> find_database(base::Env& env, const std::string& path) {
  if (!env.exists(path)) return base::errno_error(ENOENT, path);
  if (!env.list(path)) return path;  // a file
  for (const char* below : {"/member/etcdpp/data.lmdb", "/etcdpp/data.lmdb", "/data.lmdb"})
    if (env.exists(path + below)) return path + below;
  for (const char* below : {"/member/snap/db", "/snap/db", "/db"}) {
    if (env.exists(path + below))
      return base::errno_error(ENOTSUP, path + below + " is a database of etcd (bbolt), which this version cannot read");
  }
  return base::errno_error(ENOENT, path + ": no database at member/etcdpp/data.lmdb below it");
}

}  // namespace etcdpp::mvccdump

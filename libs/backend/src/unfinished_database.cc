#include "unfinished_database.h"

#include <utility>

#include "row_format.h"

namespace etcdpp::backend {

base::Result<UnfinishedDatabase> UnfinishedDatabase::create(const Options& options, std::shared_ptr<void> keep_alive) {
  const DatabasePaths paths(options.data_dir);
  base::Env& env = *options.env;
  ETCDPP_TRY(remove(env, paths));
  UnfinishedDatabase out;
  ETCDPP_ASSIGN(out.environment, Environment::open(paths.unfinished, options.map_size, options.max_readers, true, std::move(keep_alive)));
  // One sync a slice, not two: until the last one nothing of it is worth anything.
  ETCDPP_TRY(out.environment->set_lazy_meta(true));
  ETCDPP_ASSIGN(auto file, env.open(paths.unfinished, base::OpenMode::kReadWrite));
  out.preallocation = std::make_unique<Preallocation>(std::move(file), out.environment->map_size());
  return out;
}

base::Result<> UnfinishedDatabase::remove(base::Env& env, const DatabasePaths& paths) {
  ETCDPP_TRY(remove_if_there(env, paths.unfinished));
  return remove_if_there(env, lock_file_of(paths.unfinished));
}

base::Result<> put_identity(WriteTransaction& transaction, const Options& options) {
  ETCDPP_TRY(transaction.put_own(own_key::kFormatVersion, kFormatVersion));
  ETCDPP_TRY(transaction.put_own(own_key::kClusterId, options.cluster_id));
  return transaction.put_own(own_key::kMemberId, options.member_id);
}

}  // namespace etcdpp::backend

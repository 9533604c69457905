#include "bootstrap.h"

#include <fmt/format.h>

#include <filesystem>

#include <etcdpp/config/identity.h>

#include "errc.h"
#include "membership.h"
#include "takeover.h"

namespace etcdpp::server {

namespace {

backend::Options backend_options(const BootstrapOptions& o, std::uint64_t cluster_id, std::uint64_t member_id) {
  backend::Options options;
  options.data_dir = o.config.effective_data_dir();
  options.env = &o.env;
  options.clock = &o.clock;
  options.logger = &o.logger;
  options.cluster_id = cluster_id;
  options.member_id = member_id;
  options.batch_interval = o.config.effective_backend_batch_interval();
  options.batch_limit = o.config.effective_backend_batch_limit();
  options.deletion_rows = o.config.effective_compaction_batch_limit();
  options.deletion_pause = o.config.effective_compaction_sleep_interval();
  return options;
}

/// Opens the database and takes its rows into the key index in the same pass.
base::Result<> open_backend(const BootstrapOptions& o, const backend::Options& database, Bootstrapped& boot) {
  boot.keys = std::make_unique<mvcc::Restoration>(o.threads ? std::make_unique<base::Worker>("restore") : nullptr);
  const auto take = [&keys = *boot.keys](base::BytesView key, base::BytesView value) { return keys.add(key, value); };
  ETCDPP_ASSIGN(boot.backend, backend::Backend::open(database, take));
  boot.keys->end();
  return {};
}

raft::ConfState conf_state_of(const Membership& membership) {
  raft::ConfState state;
  for (const auto& [id, member] : membership.members()) (member.is_learner ? state.learners : state.voters).push_back(id);
  return state;
}

std::string parent_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path + "/.").parent_path().parent_path().string();
  return parent.empty() ? "." : parent;
}

/// What the bootstrap flags say: ids, and the members for raft's bootstrap entries.
base::Result<> read_flags(const BootstrapOptions& o, Bootstrapped& boot) {
  if (o.config.initial_cluster_state != "new")
    return base::Error(Errc::kNotSupportedYet, "joining an existing cluster (--initial-cluster-state=existing)");
  ETCDPP_ASSIGN(const config::InitialCluster cluster, o.config.members());
  ETCDPP_ASSIGN(const config::BootstrapIdentity identity, config::bootstrap_identity(cluster, o.config.initial_cluster_token));
  if (identity.members.size() != 1)
    return base::Error(Errc::kNotSupportedYet, fmt::format("a cluster of {} members (--initial-cluster)", identity.members.size()));
  boot.cluster_id = identity.cluster_id;
  for (const config::BootstrapMember& member : identity.members) {
    if (member.name == o.config.name) boot.member_id = member.id;
    MemberRecord record;
    record.id = member.id;
    record.peer_urls = member.peer_urls;
    record.name = member.name;
    boot.bootstrap_peers.push_back({member.id, member_json(record)});
  }
  if (boot.member_id == 0)
    return base::Error(Errc::kBadDataDirectory,
                       fmt::format("couldn't find local name \"{}\" in the initial cluster configuration", o.config.name));
  return {};
}

/// The first bytes of a new cluster: ids, an empty log that names them, an empty database.
base::Result<Bootstrapped> begin_new(const BootstrapOptions& o) {
  Bootstrapped boot;
  ETCDPP_TRY(read_flags(o, boot));
  if (const std::string theirs = o.config.snap_dir() + "/db"; o.env.exists(theirs))
    return base::Error(Errc::kBadDataDirectory,
                       fmt::format("{} is a database of etcd, but there is no log in {}: restore the log (--wal-dir may point elsewhere), or "
                                   "make a data directory of a saved snapshot with `etcdutl snapshot restore`",
                                   theirs, o.config.effective_wal_dir()));
  ETCDPP_TRY(open_backend(o, backend_options(o, boot.cluster_id, boot.member_id), boot));
  if (boot.backend->opened().consistent_index != 0)
    return base::Error(Errc::kBadDataDirectory,
                       fmt::format("{} has a database that has applied index {}, but there is no log in {}: restore the log (--wal-dir "
                                   "may point elsewhere), or move the directory away to start anew",
                                   o.config.effective_data_dir(), boot.backend->opened().consistent_index, o.config.effective_wal_dir()));
  ETCDPP_ASSIGN(boot.log, wal::Wal::create(o.env, o.config.effective_wal_dir(), {boot.member_id, boot.cluster_id}, o.wal));
  boot.raft_storage = std::make_unique<raft::MemoryStorage>();
  return boot;
}

/// The first life ended within its first write: no hard state was ever synced, so nobody was promised anything, and what
/// there is of bootstrap entries is written again over itself. (etcd waits for ever for a leader here.)
base::Result<Bootstrapped> begin_again(const BootstrapOptions& o, const wal::Metadata& metadata, Bootstrapped boot) {
  ETCDPP_TRY(read_flags(o, boot));
  if (boot.member_id != metadata.node_id || boot.cluster_id != metadata.cluster_id)
    return base::Error(Errc::kBadDataDirectory,
                       fmt::format("{} was begun for member {:x} of cluster {:x} and holds nothing yet; the flags name member {:x} of "
                                   "cluster {:x}: give the flags of the first start, or remove the directory",
                                   o.config.effective_data_dir(), metadata.node_id, metadata.cluster_id, boot.member_id, boot.cluster_id));
  o.logger.info("the first start was interrupted; beginning again", {{"data-dir", o.config.effective_data_dir()}});
  boot.raft_storage = std::make_unique<raft::MemoryStorage>();
  return boot;
}

base::Result<Bootstrapped> restart(const BootstrapOptions& o) {
  Bootstrapped boot;
  const std::string wal_dir = o.config.effective_wal_dir();
  ETCDPP_ASSIGN(const wal::Metadata metadata, wal::read_metadata(o.env, wal_dir));
  boot.member_id = metadata.node_id;
  boot.cluster_id = metadata.cluster_id;
  const backend::Options database = backend_options(o, boot.cluster_id, boot.member_id);
  ETCDPP_TRY(take_over_etcd(o, metadata, database));
  ETCDPP_TRY(open_backend(o, database, boot));
  ETCDPP_ASSIGN(wal::SnapshotMarker start, wal::newest_snapshot(o.env, wal_dir));
  const std::uint64_t consistent_index = boot.backend->opened().consistent_index;
  if (consistent_index < start.index)
    return base::Error(Errc::kBadDataDirectory,
                       fmt::format("database in {} has applied index {}, but the log in {} begins behind index {}: the "
                                   "database is missing or older than the log; restore it from a backup of the same moment",
                                   o.config.effective_data_dir(), consistent_index, wal_dir, start.index));
  wal::OpenOptions open;
  open.consistent_index = consistent_index;
  open.force = o.config.force_truncate_wal;
  if (open.force) {
    ETCDPP_ASSIGN(const ClusterRows rows, load_cluster_rows(*boot.backend));
    open.conf_state = conf_state_of(rows.membership);
    open.consistent_term = boot.backend->opened().term;
  }
  ETCDPP_ASSIGN(wal::Wal::Opened opened, wal::Wal::open(o.env, wal_dir, start, open, o.wal));
  boot.log = std::move(opened.wal);
  if (opened.read.restarted_from) start = *opened.read.restarted_from;
  if (start.index == 0 && consistent_index == 0 && opened.read.hard_state.empty()) return begin_again(o, metadata, std::move(boot));
  ETCDPP_ASSIGN(boot.rows, load_cluster_rows(*boot.backend));
  if (boot.rows.auth_enabled)
    return base::Error(Errc::kNotSupportedYet, "a data directory with authentication enabled");
  // As of the database: conf changes up to the consistent index are in it, later ones will be applied.
  boot.conf_state = conf_state_of(boot.rows.membership);
  if (boot.conf_state.voters.size() + boot.conf_state.learners.size() > 1)
    return base::Error(Errc::kNotSupportedYet, "a member of a cluster with several members");

  boot.snapshot_index = start.index;
  boot.raft_storage = std::make_unique<raft::MemoryStorage>();
  if (start.index > 0) {
    raft::Snapshot snapshot;
    snapshot.metadata.index = start.index;
    snapshot.metadata.term = start.term;
    snapshot.metadata.conf_state = boot.conf_state;
    ETCDPP_TRY(boot.raft_storage->apply_snapshot(std::move(snapshot)));
  }
  boot.raft_storage->set_conf_state(boot.conf_state);
  boot.raft_storage->set_hard_state(opened.read.hard_state);
  ETCDPP_TRY(boot.raft_storage->append(opened.read.entries));
  return boot;
}

}  // namespace

base::Result<Bootstrapped> bootstrap(const BootstrapOptions& options) {
  base::Env& env = options.env;
  const std::string data_dir = options.config.effective_data_dir();
  ETCDPP_TRY(env.make_directories(data_dir));
  ETCDPP_TRY(env.make_directories(options.config.snap_dir()));
  // Their names too must outlive a power loss, whoever made them: what is promised in a file is promised on its path.
  ETCDPP_TRY(env.sync_directory(parent_of(data_dir)));
  ETCDPP_TRY(env.sync_directory(data_dir));
  ETCDPP_TRY(env.sync_directory(options.config.member_dir()));
  if (wal::exists(options.env, options.config.effective_wal_dir())) return restart(options);
  return begin_new(options);
}

}  // namespace etcdpp::server

#include "takeover.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include <fmt/format.h>

#include <etcdpp/backend/database_file.h>
#include <etcdpp/backend/fresh_database.h>
#include <etcdpp/base/failpoint.h>
#include <etcdpp/base/human_bytes.h>
#include <etcdpp/bolt/errc.h>
#include <etcdpp/config/duration.h>
#include <etcdpp/exchange/errc.h>
#include <etcdpp/exchange/import.h>
#include <etcdpp/wal/layout.h>

#include <etcdserverpb/raft_internal.pb.h>

#include "errc.h"
#include "request_codec.h"

namespace etcdpp::server {

namespace {

/// How often the log says how far it has come.
constexpr base::Duration kTellEach = std::chrono::seconds(1);

base::Error refused(const std::string& database, const std::string& why) {
  return base::Error(Errc::kBadDataDirectory, fmt::format("{}: etcd's database cannot be taken over: {}", database, why));
}

/// etcd holds a lock on its log's newest segment while it runs.
base::Result<std::unique_ptr<base::File>> lock_log(const BootstrapOptions& o, const std::string& database) {
  const std::string directory = o.config.effective_wal_dir();
  ETCDPP_ASSIGN(const auto names, o.env.list(directory));
  const auto newest = std::find_if(names.rbegin(), names.rend(), [](const std::string& name) { return name.ends_with(".wal"); });
  if (newest == names.rend()) return refused(database, "there is no log in " + directory);
  ETCDPP_ASSIGN(auto file, o.env.open(directory + "/" + *newest, base::OpenMode::kReadWrite));
  if (auto locked = file->lock(false); !locked) {
    if (locked.error().code != base::EnvErrc::kLocked) return base::Error(std::move(locked.error()));
    return refused(database, "another process, probably etcd, is using " + file->path() + "; stop it first");
  }
  return file;
}

/// "3.6.1" is 306; none: no version.
std::optional<unsigned> minor_of(const std::string& version) {
  unsigned major = 0, minor = 0, patch = 0;
  char rest = 0;
  if (std::sscanf(version.c_str(), "%u.%u.%u%c", &major, &minor, &patch, &rest) != 3 || minor > 99) return std::nullopt;
  return major * 100 + minor;
}

base::Result<> check_version(const std::string& database, const exchange::EtcdFacts& facts) {
  constexpr unsigned kOldest = 305, kNewest = 307;
  if (facts.storage_version) {
    const auto minor = minor_of(*facts.storage_version);
    if (minor && *minor >= kOldest && *minor <= kNewest) return {};
    return refused(database, fmt::format("storage version {} is not supported; start etcd of 3.5 to 3.7 on it, wait until its cluster version is "
                                         "one of these, and stop it", base::printable(*facts.storage_version)));
  }
  // 3.5 writes no version but the term of each commit; before it there was none.
  if (facts.term != 0) return {};
  return refused(database, "it was written by etcd 3.4 or older, or never had a leader; start etcd 3.5 or newer on it once, write a key, and stop it");
}

base::Result<> check_facts(const std::string& database, const exchange::EtcdFacts& facts, const wal::Metadata& metadata) {
  if (facts.auth_enabled)
    return base::Error(Errc::kNotSupportedYet, database + ": a data directory with authentication enabled; it stays with etcd for now "
                                                          "(`etcdctl auth disable` there if it can do without)");
  if (facts.members.size() > 1)
    return base::Error(Errc::kNotSupportedYet, fmt::format("{}: a member of a cluster with {} members; only single members can be taken over for now",
                                                           database, facts.members.size()));
  if (facts.members.empty() || facts.members.front() != base::hex(metadata.node_id))
    return refused(database, fmt::format("it is of member {}, the log of member {:x}; put the two of one member together",
                                         facts.members.empty() ? "nobody" : base::printable(facts.members.front()), metadata.node_id));
  if (facts.downgrading)
    return refused(database, "the cluster is being downgraded; start etcd on it, `etcdctl downgrade cancel`, and stop it");
  return check_version(database, facts);
}

/// What the entry asks that no server of ours has learned; none if it is known.
std::optional<std::string> unknown_request(const raft::Entry& entry) {
  if (entry.type == raft::EntryType::kConfChangeV2) return "a joint configuration change";
  if (entry.type == raft::EntryType::kConfChange) return "a change of the membership";
  if (entry.data.empty()) return std::nullopt;
  etcdserverpb::InternalRaftRequest r;
  if (!parse_deep(r, entry.data.view())) return "what is no request of etcd 3.5 to 3.7";
  if (r.has_put() || r.has_txn() || r.has_delete_range() || r.has_range() || r.has_compaction() || r.has_lease_grant() || r.has_lease_revoke() ||
      r.has_lease_checkpoint() || r.has_alarm() || r.has_cluster_version_set() || r.has_cluster_member_attr_set())
    return std::nullopt;
  return r.has_downgrade_info_set() ? "a change of a downgrade" : "a change of users or roles";
}

/// That the log begins at or before the database's index, ends at or behind it, and holds nothing behind it but what can
/// be applied here. Reads only.
base::Result<> check_log(const BootstrapOptions& o, const std::string& database, const exchange::EtcdFacts& facts) {
  const std::string directory = o.config.effective_wal_dir();
  ETCDPP_ASSIGN(const wal::SnapshotMarker start, wal::newest_snapshot(o.env, directory));
  if (facts.consistent_index < start.index)
    return refused(database, fmt::format("it has applied index {}, but the log in {} begins behind index {}; put the two of one moment together",
                                         facts.consistent_index, directory, start.index));
  ETCDPP_ASSIGN(const wal::ReadResult read, wal::read_all(o.env, directory, start));
  const std::uint64_t end = read.entries.empty() ? start.index : read.entries.back().index;
  if (end < facts.consistent_index && !o.config.force_truncate_wal)
    return refused(database, fmt::format("it has applied index {}, but the log in {} ends at index {}: the log lost what had been synced; put back the whole "
                                         "log, or accept the loss with --force-truncate-wal", facts.consistent_index, directory, end));
  for (const raft::Entry& entry : read.entries) {
    if (entry.index <= facts.consistent_index || (entry.index == 1 && facts.consistent_index == 0)) continue;
    const auto unknown = unknown_request(entry);
    if (!unknown) continue;
    return refused(database, fmt::format("the log holds {} at index {} that the database (index {}) does not have yet; start etcd on it once more, and "
                                         "stop it with SIGTERM", *unknown, entry.index, facts.consistent_index));
  }
  return {};
}

/// Whether our database is of the same index and term as etcd's, so that it is what an interrupted takeover had made.
base::Result<bool> same_state(const BootstrapOptions& o, const std::string& ours, const exchange::EtcdFacts& facts) {
  std::uint64_t index = 0, term = 0;
  ETCDPP_ASSIGN(const auto file, backend::DatabaseFile::open(o.env, ours));
  ETCDPP_TRY(file->scan_bucket(backend::Bucket::kMeta, [&](const backend::DatabaseFile::FileRow& row) -> base::Result<> {
    if (!row.intact || row.value.size() != 8) return {};
    if (row.key == backend::meta_key::kConsistentIndex) index = base::get_be64(row.value.data());
    if (row.key == backend::meta_key::kTerm) term = base::get_be64(row.value.data());
    return {};
  }));
  return index == facts.consistent_index && term == facts.term;
}

base::Result<> convert(const BootstrapOptions& o, exchange::Import& import, const backend::Options& database, const std::string& from) {
  const base::Instant begin = o.clock.now();
  base::Instant told = begin;
  const auto progress = [&](std::uint64_t done, std::uint64_t total) {
    const base::Instant now = o.clock.now();
    if (now - told < kTellEach) return;
    told = now;
    o.logger.info("taking over etcd's database", {{"path", from},
                                                  {"rows", import.rows()},
                                                  {"read", base::human_bytes(done)},
                                                  {"file-in-use", base::human_bytes(total)},
                                                  {"percent", total == 0 ? 0 : std::min<std::uint64_t>(99, done * 100 / total)}});
  };
  ETCDPP_FAILPOINT("takeoverBeforeCopy");
  ETCDPP_ASSIGN(const auto fresh, backend::FreshDatabase::create(database));
  ETCDPP_TRY(import.copy_to(*fresh, progress));
  ETCDPP_FAILPOINT("takeoverBeforeFinish");
  ETCDPP_TRY(fresh->finish());
  o.logger.info("copied etcd's database", {{"path", from},
                                           {"rows", import.rows()},
                                           {"consistent-index", import.facts().consistent_index},
                                           {"took", config::go_duration(o.clock.now() - begin)}});
  return {};
}

/// etcd's file is kept under a name that says how far it goes.
base::Result<> set_aside(const BootstrapOptions& o, const std::string& from, std::uint64_t index) {
  std::string kept = fmt::format("{}.etcd-{:016x}", from, index);
  for (unsigned n = 2; o.env.exists(kept); ++n) kept = fmt::format("{}.etcd-{:016x}.{}", from, index, n);
  ETCDPP_FAILPOINT("takeoverBeforeRename");
  ETCDPP_TRY(o.env.rename(from, kept));
  ETCDPP_TRY(o.env.sync_directory(o.config.snap_dir()));
  o.logger.info("took over the data directory of an etcd member",
                {{"data-dir", o.config.effective_data_dir()}, {"consistent-index", index}, {"etcd-database-kept-as", kept}});
  return {};
}

}  // namespace

base::Result<> take_over_etcd(const BootstrapOptions& o, const wal::Metadata& metadata, const backend::Options& database) {
  const std::string from = o.config.snap_dir() + "/db";
  if (!o.env.exists(from)) return {};
  ETCDPP_ASSIGN(const auto lock, lock_log(o, from));
  auto import = exchange::Import::open(o.env, from);
  if (!import) return refused(from, import.error().message() + "; look at it with `mvccdump verify`, rescue its rows with `mvccdump salvage`");
  const exchange::EtcdFacts& facts = (*import)->facts();

  const std::string ours = backend::database_path(database.data_dir);
  if (o.env.exists(ours)) {
    ETCDPP_ASSIGN(const bool same, same_state(o, ours, facts));
    if (!same)
      return refused(from, fmt::format("there is {} too, of another index. Keep the one that this member wrote last: to go on as etcdpp move {} away; "
                                       "to take over what etcd wrote since move {} away", ours, from, wal::own_directory(database.data_dir)));
    return set_aside(o, from, facts.consistent_index);
  }
  ETCDPP_TRY(check_facts(from, facts, metadata));
  ETCDPP_TRY(check_log(o, from, facts));
  o.logger.info("taking over the data directory of an etcd member",
                {{"path", from}, {"consistent-index", facts.consistent_index}, {"term", facts.term},
                 {"storage-version", facts.storage_version.value_or("3.5")}, {"cluster-version", facts.cluster_version}});
  for (const std::string& name : facts.foreign_buckets)
    o.logger.warn("a bucket that etcd does not know is left behind", {{"bucket", base::printable(name)}});
  if (auto converted = convert(o, **import, database, from); !converted) {
    if (converted.error().code == exchange::make_error_code(exchange::Errc::kBadRow) ||
        converted.error().code == bolt::make_error_code(bolt::Errc::kDamaged))
      return refused(from, converted.error().message() + "; look at it with `mvccdump verify`, rescue its rows with `mvccdump salvage`");
    return converted;
  }
  return set_aside(o, from, facts.consistent_index);
}

}  // namespace etcdpp::server

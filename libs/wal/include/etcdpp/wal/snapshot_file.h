#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <etcdpp/base/env.h>
#include <etcdpp/base/logger.h>
#include <etcdpp/raft/types.h>
#include <etcdpp/wal/errc.h>
#include <etcdpp/wal/layout.h>

namespace etcdpp::wal {

/// Raft snapshot files, `member/snap/<term>-<index>.snap`: conf state, index, term, and a document of the membership
/// that etcd 3.6 and older load (docs/formats/snap.md).
///
/// A start needs none of them: it goes by the log's markers. They are written for etcd's tools and for a way back to 3.6.
/// Threads: none kept; one writer at a time. Durability: a written file and its name are durable when the call returns.

/// Writes the file. Index 0 is not written at all. A failed write leaves no file.
base::Result<> write_snapshot_file(base::Env& env, const std::string& directory, const raft::Snapshot& snapshot);

/// kEmptySnapshot, kSnapshotCrcMismatch or kBadRecord when it is damaged.
base::Result<raft::Snapshot> read_snapshot_file(base::Env& env, const std::string& path);

/// Names of .snap files, newest (highest term, then index) first. Removes what an interrupted defragmentation of etcd left.
base::Result<std::vector<std::string>> list_snapshot_files(base::Env& env, const std::string& directory);

/// The newest file that reads cleanly; each damaged newer one is renamed to `<name>.broken`. kNoSnapshot when there is none.
base::Result<raft::Snapshot> load_newest_snapshot(base::Env& env, const std::string& directory,
                                                  base::Logger& logger = base::null_logger());

/// Deletes the oldest files with this suffix ("snap" or "snap.db") while there are more than `keep`; 0: all stay.
base::Result<std::size_t> purge_snapshots(base::Env& env, const std::string& directory, const std::string& suffix,
                                          std::size_t keep, base::Logger& logger = base::null_logger());

/// Deletes `*.snap.db` files of indices below `index`.
base::Result<> remove_database_snapshots_below(base::Env& env, const std::string& directory, std::uint64_t index);

/// A member as etcd's old store knew it.
struct StoreMember {
  std::uint64_t id = 0;
  std::vector<std::string> peer_urls;
  bool is_learner = false;
  std::string name;
  std::vector<std::string> client_urls;
};

/// The membership as a document of etcd's former tree store, the `data` of a raft snapshot: what etcd 3.6 would have in
/// memory after the same conf changes. `cluster_version` empty: not known yet.
base::Bytes encode_store_document(std::span<const StoreMember> members, std::span<const std::uint64_t> removed,
                                  const std::string& cluster_version);

}  // namespace etcdpp::wal

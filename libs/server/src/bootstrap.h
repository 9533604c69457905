#pragma once

#include <memory>
#include <vector>

#include <etcdpp/backend/backend.h>
#include <etcdpp/base/clock.h>
#include <etcdpp/base/env.h>
#include <etcdpp/base/logger.h>
#include <etcdpp/base/result.h>
#include <etcdpp/config/config.h>
#include <etcdpp/mvcc/restoration.h>
#include <etcdpp/raft/raw_node.h>
#include <etcdpp/raft/storage.h>
#include <etcdpp/wal/wal.h>

#include "cluster_rows.h"

namespace etcdpp::server {

/// A member's durable parts, opened and checked against each other, and what raft starts from.
struct Bootstrapped {
  std::uint64_t member_id = 0;
  std::uint64_t cluster_id = 0;
  bool fresh = false;
  std::unique_ptr<backend::Backend> backend;
  /// The backend's keys, for the store.
  std::unique_ptr<mvcc::Restoration> keys;
  ClusterRows rows;
  std::unique_ptr<wal::Wal> log;
  std::unique_ptr<raft::MemoryStorage> raft_storage;
  /// A new cluster's members, for raft's bootstrap entries; empty on a restart.
  std::vector<raft::Peer> bootstrap_peers;
  raft::ConfState conf_state;
  std::uint64_t snapshot_index = 0;
};

struct BootstrapOptions {
  const config::Config& config;
  base::Env& env;
  const base::Clock& clock;
  base::Logger& logger;
  wal::Options wal;
  /// May use a second thread while it reads.
  bool threads = false;
};

/// A new member's files, or those of the data directory: once a log exists, all bootstrap flags are ignored (etcd's rule).
/// The directory of a stopped etcd member is taken over (takeover.h).
///
/// Refuses, in one line that says what to do: a directory of another member or of a newer format; a log without its
/// database or a database without its log; a log that ends below what the database has applied (unless `force_truncate_wal`); auth enabled; clusters
/// of several members (not supported yet).
base::Result<Bootstrapped> bootstrap(const BootstrapOptions& options);

}  // namespace etcdpp::server

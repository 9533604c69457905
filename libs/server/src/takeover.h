#pragma once

#include <etcdpp/backend/backend.h>
#include <etcdpp/base/result.h>
#include <etcdpp/wal/wal.h>

#include "bootstrap.h"

namespace etcdpp::server {

/// Turns the data directory of a stopped etcd member into ours, if it is one: member/snap/db becomes
/// member/etcdpp/data.lmdb, and is kept as member/snap/db.etcd-<index>; the log stays as it is. After it the member starts
/// as after any stop. Nothing to do in a directory without member/snap/db.
///
/// A kill or power loss at any moment does no harm: until our database is whole, durable and under its name, etcd's is
/// where it was, and the next start begins again; after that only the renaming is left, which the next start does.
/// docs/operations/takeover.md.
///
/// Refuses, in one line that says what to do, and changes nothing: a running etcd; a damaged database; several members, or
/// another member's; authentication; a downgrade in progress; storage of other releases than 3.5 to 3.7; a log that does
/// not go with the database, or holds entries behind it that this server cannot apply; a database of ours that differs.
base::Result<> take_over_etcd(const BootstrapOptions& options, const wal::Metadata& metadata, const backend::Options& database);

}  // namespace etcdpp::server

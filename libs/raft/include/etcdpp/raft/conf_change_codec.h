#pragma once

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/result.h>
#include <etcdpp/raft/types.h>

/// The bytes of a conf-change entry: raftpb.ConfChange and raftpb.ConfChangeV2 in proto2 wire form.
///
/// Raft itself must read them (a leader validates, a campaign looks for unapplied ones), so it has its own codec and no
/// protobuf. Pure. Errors: kBadConfChange for anything that is not such a message, unknown enum values included;
/// unknown fields are skipped, for a repeated scalar field the last one counts.
namespace etcdpp::raft {

/// Type and node id are written even when zero, id and context only when set: byte for byte what etcd writes.
base::SharedBytes encode_conf_change(const ConfChange& change);
/// The transition is always written, and type and node id of each change. The empty ConfChangeV2 that leaves a joint
/// configuration automatically is an entry without data, which decodes to it.
base::SharedBytes encode_conf_change(const ConfChangeV2& change);

base::Result<ConfChange> decode_conf_change(base::BytesView bytes);
base::Result<ConfChangeV2> decode_conf_change_v2(base::BytesView bytes);
/// What a conf-change entry of either type asks for.
base::Result<ConfChangeV2> decode_conf_change(const Entry& entry);

}  // namespace etcdpp::raft

#pragma once

#include <cstddef>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/result.h>
#include <etcdpp/proto/errc.h>
#include <etcdpp/proto/wire.h>
#include <etcdpp/raft/types.h>

/// Raft's structs as raftpb messages, in proto2 wire form: what goes into the log and to the peers.
///
/// Written by hand because entries are hot: an entry's head goes to a stack buffer and its payload is never copied on
/// the way. (Conf changes have their codec in raft, which must read them.) The generated raftpb classes are the oracle
/// in the tests.
///
/// Presence: Type, Term and Index of an entry, all of a hard state, auto_leave of a conf state, index and term of
/// snapshot metadata and the type of a message are written even when zero, because readers of the field (etcd's own
/// dump tool among them) dereference them unasked. All else is written when it is not zero. Absent reads as zero.
///
/// A message's `responses` are for a member's own storage: they are neither written nor read.
///
/// Pure; any bytes decode or give kMalformed. Unknown fields are skipped, unknown entry and message types refused.
/// Memory is bounded by a multiple of the input's size.
namespace etcdpp::proto {

/// Room for everything of an entry but its payload.
inline constexpr std::size_t kMaxEntryHeadSize = 2 + 11 + 11 + 11;
/// Writes everything before the payload (which follows as it is, if there is any) and returns how much.
std::size_t encode_entry_head(const raft::Entry& entry, char* out);
std::size_t entry_size(const raft::Entry& entry);
void append_entry(const raft::Entry& entry, base::Bytes& out);

inline constexpr std::size_t kMaxHardStateSize = 3 * 11;
std::size_t encode_hard_state(const raft::HardState& state, char* out);

base::Bytes encode_conf_state(const raft::ConfState& state);
base::Bytes encode_snapshot(const raft::Snapshot& snapshot);

std::size_t message_size(const raft::Message& message);
void append_message(const raft::Message& message, base::Bytes& out);
base::Bytes encode_message(const raft::Message& message);

/// The payload is copied once, into its shared block.
base::Result<raft::Entry> decode_entry(base::BytesView bytes);
base::Result<raft::HardState> decode_hard_state(base::BytesView bytes);
base::Result<raft::ConfState> decode_conf_state(base::BytesView bytes);
base::Result<raft::Snapshot> decode_snapshot(base::BytesView bytes);
base::Result<raft::Message> decode_message(base::BytesView bytes);

}  // namespace etcdpp::proto

#pragma once

#include <system_error>

namespace etcdpp::raft {

/// Why raft or its storage refuses. Texts are etcd-raft's.
enum class Errc {
  kProposalDropped = 1,              ///< No leader, a transfer under way, or the uncommitted limit: propose again later.
  kStepLocalMessage,                 ///< A peer sent what only a node says to itself: ignore the message.
  kStepPeerNotFound,                 ///< An answer from somebody who is no member: ignore the message.
  kStopped,                          ///< The node was stopped; nothing was done.
  kCompacted,                        ///< The index is before the log: use the snapshot.
  kUnavailable,                      ///< The index is after the log.
  kSnapshotOutOfDate,                ///< The storage has a newer snapshot.
  kSnapshotTemporarilyUnavailable,   ///< Raft asks again later.
  kBadConfig,                        ///< The context says which field.
  kBadConfChange,                    ///< Not a conf change in wire form, or one that the configuration does not allow.
  kBadConfState,                     ///< A snapshot's configuration that cannot be.
  kBootstrapNonEmpty,                ///< Bootstrap of a node that already has a log.
  kBootstrapWithoutPeers,
  kMalformedMessage,                 ///< Fields that no correct peer sends together; the message changed nothing.
  kInboxFull,                        ///< Bounded inbox of the Node: stop reading from whoever fills it.
  kProposalExpired,                  ///< Waited for a leader to its deadline.
};

const std::error_category& error_category();
std::error_code make_error_code(Errc code);

}  // namespace etcdpp::raft

template <>
struct std::is_error_code_enum<etcdpp::raft::Errc> : std::true_type {};

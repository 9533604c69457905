#pragma once

#include <system_error>

namespace etcdpp::wal {

/// Why a log or a snapshot file could not be read or written. Texts are etcd's where etcd has one; the context of the
/// Error names segment, offset or index, and what to do.
enum class Errc {
  /// The directory has a log already: open it instead.
  kExists = 1,
  /// No segment holds the wanted index.
  kFileNotFound,
  /// Sequence numbers of segments have a hole: a file is missing.
  kSegmentMissing,
  /// Two segments name different owners.
  kMetadataConflict,
  /// The log has no metadata record.
  kMetadataMissing,
  /// The start marker is there with another term.
  kSnapshotMismatch,
  /// The start marker was not found.
  kSnapshotNotFound,
  /// An entry's index leaves a hole behind the one before it.
  kSliceOutOfRange,
  /// The running checksum differs: bytes changed on disk. Never repaired.
  kCrcMismatch,
  /// A complete frame is no record, or a record's payload is not what its type says. Never repaired.
  kBadRecord,
  /// The log ends within a frame, as a crash leaves it. repair() cuts it off.
  kUnexpectedEof,
  /// The log ends below an index that was durable once: synced data is missing.
  kLogEndsEarly,
  /// A snapshot marker without a conf state, which etcd would refuse to write.
  kInvalidMarker,
  /// A write or sync failed before; what is on disk is unknown, so nothing more is written.
  kPoisoned,
  /// A file of the log is held by another process.
  kLocked,
  /// The directory holds files that are not ours.
  kForeignFiles,
  /// A .snap file without content.
  kEmptySnapshot,
  /// A .snap file's checksum differs.
  kSnapshotCrcMismatch,
  /// No .snap file could be read.
  kNoSnapshot,
  /// A filter asks for what no record has.
  kBadFilter,
  /// A log cannot be written where it should: something is there.
  kTargetExists,
};

std::error_code make_error_code(Errc);

}  // namespace etcdpp::wal

template <>
struct std::is_error_code_enum<etcdpp::wal::Errc> : std::true_type {};

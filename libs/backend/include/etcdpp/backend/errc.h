#pragma once

#include <system_error>

namespace etcdpp::backend {

/// Why the database could not be opened, read or written.
enum class Errc {
  /// Refusals at open; the file is untouched.
  kLocked = 1,
  kNewerFormat,
  kOtherMember,
  kEtcdDatabase,
  kNotADatabase,
  kDamaged,
  /// The disk or the map is full. Nothing was lost: the commit is tried again each second.
  kNoSpace,
  /// A row's checksum or a page is wrong, or rows came out of order: what is on disk is no longer trusted, the owner
  /// stops the member.
  kCorrupt,
  kTooManyReaders,
  /// A defragmentation ended before its switch because somebody asked for that.
  kCancelled,
  /// LMDB refused for another reason, named in the context. At run time the owner stops the member.
  kEngine,
};

std::error_code make_error_code(Errc code);

}  // namespace etcdpp::backend

template <>
struct std::is_error_code_enum<etcdpp::backend::Errc> : std::true_type {};

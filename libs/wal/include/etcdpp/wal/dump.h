#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/env.h>
#include <etcdpp/base/result.h>

namespace etcdpp::wal {

/// Prints logs in any state of damage, of etcd and of etcdpp, also while their member runs: what waldump does.
///
/// Read-only by construction: files are opened for reading and nothing is locked. Every frame is shown with its place,
/// its checksum and a verdict of its own; damage is stepped over, so that what lies behind it is shown too.
/// Terminals get nothing to obey (base::printable). Passwords and tokens are never printed, and neither are the bytes
/// of damaged entries, which might be passwords, unless `show_damaged` asks for them.

struct DumpOptions {
  /// Only frames, without decoding what they carry.
  bool frames_only = false;
  /// No frames at all, only how the log ends.
  bool verdict_only = false;
  /// The payload's bytes below each frame.
  bool hex = false;
  /// Contents and bytes of damaged entries too. They may hold passwords.
  bool show_damaged = false;
  /// Values in full; text shortens those above 64 bytes (JSON never does).
  bool full = false;
  /// Only the last so many frames; 0: all.
  std::uint64_t last = 0;
  /// One JSON object a line, the verdict last, instead of text.
  bool json = false;
};

/// How a log ends, in etcd's eyes and a little beyond; the process's exit code.
enum class Ending {
  kIntact = 0,      ///< at a zero length word or the file's end, nothing behind it
  kTornTail = 3,    ///< within a frame, as a crash leaves it: etcd and etcdpp cut it off at their next start
  kDamaged = 4,     ///< a broken frame that no crash explains: etcd and etcdpp refuse to start
  kHiddenData = 5,  ///< at a zero length word, but bytes follow: etcd starts and loses them
};

/// Where output goes; false: nobody reads any more, stop without a word.
using Sink = std::function<bool(base::BytesView)>;

/// `paths`: data directories, log directories or single segments. Several are printed one after another; the worst
/// ending counts. An error means that something could not be read at all.
base::Result<Ending> dump(base::Env& env, std::span<const std::string> paths, const DumpOptions& options, const Sink& out);

}  // namespace etcdpp::wal

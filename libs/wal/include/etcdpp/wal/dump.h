#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/env.h>
#include <etcdpp/base/result.h>
#include <etcdpp/wal/filter.h>

namespace etcdpp::wal {

/// Questions to logs in any state of damage, of etcd and of etcdpp, also while their member runs: what waldump does.
///
/// Read-only by construction: files are opened for reading behind a type that cannot write, and nothing is locked; only
/// salvage() writes, into a directory of its own. Every frame is shown with its place, its checksum and a verdict of its own;
/// damage is stepped over, so that what lies behind it is shown too. Terminals get nothing to obey (base::printable).
/// Passwords and tokens are never printed, and neither are the contents of damaged entries that might be requests of auth.
///
/// Bounds: memory by the largest record, and by the number of entries for diff() (24 bytes each) and history() (the keys' state);
/// time by a small multiple of the files' data, whatever they hold.
/// `paths` everywhere: data directories, log directories or single segments; segments of one directory that follow each other
/// are one log. An error means that nothing could be read at all.

/// How a log ends, in etcd's eyes and a little beyond; the process's exit code.
enum class Ending {
  kIntact = 0,         ///< at a zero length word or the file's end, nothing behind it
  kUnreadable = 1,     ///< some of it could not be read from the device; told of the rest as far as it goes
  kTornTail = 3,       ///< within a frame, as a crash leaves it: etcd and etcdpp cut it off at their next start
  kDamaged = 4,        ///< a broken frame that no crash explains, or records without which there is no start: etcd and etcdpp refuse
  kHiddenData = 5,     ///< at a zero length word, but bytes follow: etcd starts and loses them
  kContradiction = 6,  ///< every frame is whole, but records contradict each other; no start would notice
  kParts = 7,          ///< diff(): the two logs hold different entries for one index
};
const char* to_string(Ending ending);
/// Which of two counts for a program that can say only one.
Ending worse(Ending a, Ending b);

/// Where output goes; false: nobody reads any more, stop without a word.
using Sink = std::function<bool(base::BytesView)>;

/// What the program around it lends.
struct DumpHooks {
  /// Bytes read so far, and of how many; called now and then.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
  /// A tail looks strange: if somebody may be writing to this file, waits a moment (20 ms or so) and says true, and it is read
  /// again, a few times at most.
  std::function<bool(const std::string& path)> settle;
  /// Waits until looking for more is worth while (100 ms or so); false: follow no more.
  std::function<bool()> wait;
};

struct Style {
  /// One JSON object a line, the verdict last, instead of text.
  bool json = false;
  /// Text for a terminal that knows colours.
  bool color = false;
  /// Values in full; text shortens those above 64 bytes (JSON never does).
  bool full = false;
};

struct DumpOptions {
  Style style = {};
  /// Only frames, without decoding what they carry.
  bool frames_only = false;
  /// The payload's bytes below each frame.
  bool hex = false;
  /// Contents and bytes of damaged entries too, unless they might be requests of auth.
  bool show_damaged = false;
  /// Only the last so many frames (of those that pass the filter); 0: all.
  std::uint64_t last = 0;
  /// Only what a start would read: entries above the newest snapshot marker, and records from it on.
  bool since_snapshot = false;
  /// Goes on with what is appended, into new segments too, until hooks.wait says no. One log only.
  bool follow = false;
  Filter filter = {};
};

/// Every frame, and the verdict.
base::Result<Ending> dump(base::Env& env, std::span<const std::string> paths, const DumpOptions& options, const DumpHooks& hooks, const Sink& out);

/// Sequence of segments, checksums, order of indices and terms, hard state and snapshot markers; the verdict.
base::Result<Ending> verify(base::Env& env, std::span<const std::string> paths, const Style& style, const DumpHooks& hooks, const Sink& out);

/// Per kind count, bytes and rate along the index; biggest requests, hottest prefixes, leaders, conf changes.
base::Result<Ending> summarise(base::Env& env, std::span<const std::string> paths, const Filter& filter, const Style& style,
                               const DumpHooks& hooks, const Sink& out);

/// Every committed write to `key` (and every one that was not committed yet, marked): index, term, and the revision where it can
/// be told, which is where the log reaches back to its first entry.
base::Result<Ending> history(base::Env& env, std::span<const std::string> paths, base::BytesView key, const Style& style,
                             const DumpHooks& hooks, const Sink& out);

/// Where the logs of two members part.
base::Result<Ending> diff(base::Env& env, const std::string& path, const std::string& other, const Style& style, const DumpHooks& hooks,
                          const Sink& out);

/// Writes every readable record into a fresh valid log in the directory `target` (absent or empty), payload bytes as they are,
/// and says what was lost. The answer is kIntact when nothing was.
///
/// Kept are all frames whose checksum agrees, those behind a gap in the chain that cannot be checked, records whose length word
/// alone is damaged, and what follows a zero length word. Where entries are missing, a snapshot marker of the last missing index
/// is put, so that a database that has applied that far can go on; entries are never made up. One log.
base::Result<Ending> salvage(base::Env& env, std::span<const std::string> paths, const std::string& target, const Style& style,
                             const DumpHooks& hooks, const Sink& out);

}  // namespace etcdpp::wal

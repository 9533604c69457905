#pragma once

#include <functional>
#include <optional>
#include <string>

#include <etcdpp/wal/dump.h>

#include "entry_view.h"
#include "frame_walker.h"
#include "log_check.h"
#include "log_files.h"

namespace etcdpp::wal {

/// Walks a whole log, frame by frame through all its segments, and comes to its verdict on the way: what every question to a
/// log is made of. One owner.
///
///     LogWalker walker(env, log, hooks);
///     while (ETCDPP_ASSIGN(…, walker.next())) look(walker.frame(), walker.entry());
///     walker.ending(); walker.text();
class LogWalker {
 public:
  LogWalker(base::Env& env, const LogFiles& log, const DumpHooks& hooks);

  /// Called when a segment begins, also one that cannot be read (size 0).
  std::function<void(const std::string& path, std::uint64_t size)> on_segment;

  base::Result<bool> next();
  const FoundFrame& frame() const { return frame_; }
  /// The frame's entry, if it has one that can be read. What a damaged frame says is not to be believed.
  const std::optional<EntryView>& entry() const { return entry_; }
  /// Place of the frame's segment in LogFiles::files.
  std::size_t file() const { return current_; }
  const std::string& path() const { return log_.files[current_]; }

  // After next() said false.
  Ending ending() const { return ending_; }
  /// Why, naming file and byte.
  const std::string& text() const { return text_; }
  const LogCheck& check() const { return check_; }
  std::uint64_t frames() const { return frames_; }
  std::uint64_t bytes() const { return bytes_; }
  /// Where the verdict was reached, of which segment; the log's end if it is intact.
  const std::string& verdict_path() const { return verdict_path_; }
  std::uint64_t verdict_offset() const { return verdict_offset_; }

  /// For --follow: the end is only the end so far. False when nothing has come since.
  void set_following() { following_ = true; }
  base::Result<> look_again();
  /// A segment that began since the log's files were listed.
  void add_segment(const std::string& path) { log_.files.push_back(path); }

 private:
  base::Result<bool> open_segment();
  void end_segment();
  void judge_frame();
  void finish();
  void decide(Ending ending, std::uint64_t offset, std::string text);

  base::Env& env_;
  LogFiles log_;
  const DumpHooks& hooks_;
  LogCheck check_;
  FrameWalker walker_;
  std::optional<SegmentSource> source_;
  std::size_t current_ = 0;
  FoundFrame frame_;
  std::optional<EntryView> entry_;
  bool following_ = false;
  bool finished_ = false;
  bool stopped_ = false;  ///< records behind the first thing found are not checked any more
  Ending ending_ = Ending::kIntact;
  std::string text_;
  std::string verdict_path_;
  std::uint64_t verdict_offset_ = 0;
  std::string unreadable_;
  std::uint64_t frames_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t bytes_before_ = 0;
  std::uint64_t reported_ = 0;
};

}  // namespace etcdpp::wal

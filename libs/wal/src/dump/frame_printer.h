#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include <etcdpp/wal/dump.h>

#include "entry_view.h"
#include "frame_walker.h"
#include "output.h"

namespace etcdpp::wal {

/// Writes frames one by one, as text or as JSON; keeps back all but the last few if that is asked for. One owner.
class FramePrinter {
 public:
  FramePrinter(const DumpOptions& options, Output& out) : options_(options), out_(out), keeping_(options.last > 0) {}

  void segment(const std::string& path, std::uint64_t size);
  void frame(const FoundFrame& frame, const std::optional<EntryView>& entry);
  /// Writes what was kept back; from now on nothing is.
  void release();

  std::uint64_t printed() const { return printed_; }

 private:
  void text_frame(const FoundFrame& frame, const std::optional<EntryView>& entry, std::string& out) const;
  void json_frame(const FoundFrame& frame, const std::optional<EntryView>& entry, std::string& out) const;
  void hex_rows(const FoundFrame& frame, const std::optional<EntryView>& entry, bool decoded, std::string& out) const;
  bool may_show(const FoundFrame& frame, const std::optional<EntryView>& entry) const;

  struct Kept {
    std::shared_ptr<const std::string> header;
    std::string line;
  };

  const DumpOptions& options_;
  Output& out_;
  bool keeping_;
  std::string path_;  ///< made printable for the output's form
  std::shared_ptr<const std::string> header_;
  std::shared_ptr<const std::string> written_header_;
  std::deque<Kept> kept_;
  std::uint64_t printed_ = 0;
};

}  // namespace etcdpp::wal

#pragma once

#include <deque>
#include <string>

#include <etcdpp/wal/dump.h>

#include "frame_walker.h"
#include "payload_text.h"

namespace etcdpp::wal {

const char* to_string(Ending ending);

/// Writes one log's frames and verdict, as text or as JSON. One owner.
class DumpPrinter {
 public:
  DumpPrinter(const DumpOptions& options, const Sink& sink) : options_(options), sink_(sink) {}

  // Each answers whether anyone still reads.
  bool segment(const std::string& path, std::uint64_t size);
  bool frame(const FoundFrame& frame);
  bool verdict(const std::string& log, Ending ending, const std::string& text, std::uint64_t first_index, std::uint64_t last_index);

 private:
  std::string text_frame(const FoundFrame& frame) const;
  std::string json_frame(const FoundFrame& frame) const;
  std::string hex_rows(const FoundFrame& frame, const Payload& payload) const;
  bool may_show(const FoundFrame& frame, const Payload& payload) const;
  bool write(const std::string& text);
  bool flush();

  struct Kept {
    std::string header;
    std::string line;
  };

  const DumpOptions& options_;
  const Sink& sink_;
  std::string path_;
  std::string header_;
  std::string pending_;
  std::deque<Kept> kept_;
  std::uint64_t frames_ = 0;
  bool alive_ = true;
};

}  // namespace etcdpp::wal

#pragma once

#include <string>

#include <etcdpp/base/bytes.h>
#include <etcdpp/wal/dump.h>

namespace etcdpp::wal {

/// Gathers lines and hands them on in large pieces. One owner.
class Output {
 public:
  explicit Output(const Sink& sink) : sink_(sink) {}

  /// Where the next line is written; whole() after it.
  std::string& text() { return text_; }
  /// Whether anyone still reads.
  bool whole() { return text_.size() < kPiece ? alive_ : flush(); }
  bool flush() {
    alive_ = alive_ && (text_.empty() || sink_(text_));
    text_.clear();
    return alive_;
  }
  bool alive() const { return alive_; }

 private:
  static constexpr std::size_t kPiece = 64 * 1024;
  const Sink& sink_;
  std::string text_;
  bool alive_ = true;
};

/// Words in colours that terminals know by name, or as they are.
enum class Tone { kPlain, kGood, kWarning, kBad, kName, kDim };
void append_toned(std::string& out, std::string_view text, Tone tone, bool color);
Tone tone_of(Ending ending);

}  // namespace etcdpp::wal

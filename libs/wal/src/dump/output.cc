#include "output.h"

namespace etcdpp::wal {

void append_toned(std::string& out, std::string_view text, Tone tone, bool color) {
  if (!color || tone == Tone::kPlain) {
    out += text;
    return;
  }
  switch (tone) {
    case Tone::kPlain: break;
    case Tone::kGood: out += "\x1b[32m"; break;
    case Tone::kWarning: out += "\x1b[33m"; break;
    case Tone::kBad: out += "\x1b[31m"; break;
    case Tone::kName: out += "\x1b[36m"; break;
    case Tone::kDim: out += "\x1b[2m"; break;
  }
  out += text;
  out += "\x1b[0m";
}

Tone tone_of(Ending ending) {
  switch (ending) {
    case Ending::kIntact: return Tone::kGood;
    case Ending::kTornTail:
    case Ending::kHiddenData: return Tone::kWarning;
    default: return Tone::kBad;
  }
}

}  // namespace etcdpp::wal

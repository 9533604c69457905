#include "verdict_text.h"

#include "text_out.h"

namespace etcdpp::wal {

void write_verdict(const LogFiles& log, const LogWalker& walker, const Style& style, std::uint64_t shown, Output& out) {
  const LogCheck& check = walker.check();
  std::string& text = out.text();
  if (style.json) {
    TreeWriter tree(text, true);
    tree.open_object("");
    tree.bytes("log", log.name);
    tree.word("verdict", to_string(walker.ending()));
    tree.number("exit-code", static_cast<std::uint64_t>(walker.ending()));
    tree.number("frames", walker.frames());
    if (shown != walker.frames()) tree.number("shown", shown);
    if (check.first_index() > 0) {
      tree.number("first-index", check.first_index());
      tree.number("last-index", check.last_index());
    }
    tree.bytes("segment", walker.verdict_path());
    tree.number("offset", walker.verdict_offset());
    tree.bytes("text", walker.text());
    tree.close_object();
    text += '\n';
  } else {
    append_number(text, walker.frames());
    text += " frames";
    if (shown != walker.frames()) {
      text += ", ";
      append_number(text, shown);
      text += " shown";
    }
    if (check.first_index() > 0) {
      text += ", entries ";
      append_number(text, check.first_index());
      text += " to ";
      append_number(text, check.last_index());
    }
    text += "\nverdict: ";
    append_toned(text, to_string(walker.ending()), tone_of(walker.ending()), style.color);
    text += ": " + base::printable(walker.text()) + "\n";
  }
  out.whole();
}

}  // namespace etcdpp::wal

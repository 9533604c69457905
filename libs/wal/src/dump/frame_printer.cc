#include "frame_printer.h"

#include <algorithm>

#include "payload_text.h"
#include "text_out.h"

namespace etcdpp::wal {

namespace {

constexpr std::size_t kTextLimit = 64;

// In hexadecimal, secrets starred.
std::string masked_hex(const Record& record, const std::optional<EntryView>& entry) {
  std::string out = base::hex(record.data);
  if (!entry) return out;
  for (const base::BytesView secret : secret_places(*entry)) {
    const auto at = static_cast<std::ptrdiff_t>(2 * (secret.data() - record.data.data()));
    std::fill_n(out.begin() + at, 2 * secret.size(), '*');
  }
  return out;
}

// Secrets are found only in what can be read to its end.
bool decodes(const Record& record, const std::optional<EntryView>& entry) {
  std::string unused;
  TreeWriter tree(unused, true);
  return describe_payload(record, entry, true, tree, unused);
}

Tone tone_of(FrameVerdict verdict) {
  if (verdict == FrameVerdict::kOk) return Tone::kGood;
  return verdict == FrameVerdict::kUnchecked ? Tone::kWarning : Tone::kBad;
}

std::string_view type_name(std::int64_t type, std::string& scratch) {
  switch (static_cast<RecordType>(type)) {
    case RecordType::kMetadata: return "metadata";
    case RecordType::kEntry: return "entry";
    case RecordType::kState: return "state";
    case RecordType::kCrc: return "crc";
    case RecordType::kSnapshot: return "snapshot";
  }
  return scratch = record_type_name(type);
}

}  // namespace

void FramePrinter::segment(const std::string& path, std::uint64_t size) {
  path_.clear();
  append_printable(path_, path, options_.style.json);
  if (options_.style.json) return;
  std::string header = "segment " + path_ + "  " + std::to_string(size) + " bytes\n";
  header += "    offset  length word         length  pad  type      stored    computed  verdict\n";
  header_ = std::make_shared<const std::string>(std::move(header));
  if (!keeping_ && options_.filter.empty() && !options_.since_snapshot) {
    out_.text() += *header_;
    written_header_ = header_;
  }
}

void FramePrinter::frame(const FoundFrame& frame, const std::optional<EntryView>& entry) {
  if (keeping_) {
    Kept kept{header_, {}};
    if (kept_.size() == options_.last) {
      kept.line = std::move(kept_.front().line);
      kept.line.clear();
      kept_.pop_front();
    }
    if (options_.style.json) json_frame(frame, entry, kept.line);
    else text_frame(frame, entry, kept.line);
    kept_.push_back(std::move(kept));
    return;
  }
  ++printed_;
  if (!options_.style.json && written_header_ != header_) out_.text() += *header_;
  written_header_ = header_;
  if (options_.style.json) json_frame(frame, entry, out_.text());
  else text_frame(frame, entry, out_.text());
  out_.whole();
}

void FramePrinter::release() {
  keeping_ = false;
  printed_ += kept_.size();
  for (const Kept& each : kept_) {
    if (!options_.style.json && each.header != written_header_) out_.text() += *each.header;
    written_header_ = each.header;
    out_.text() += each.line;
    if (!out_.whole()) break;
  }
  kept_.clear();
}

void FramePrinter::text_frame(const FoundFrame& frame, const std::optional<EntryView>& entry, std::string& out) const {
  const bool color = options_.style.color;
  append_padded(out, frame.offset, 10);
  out += "  ";
  if (frame.verdict == FrameVerdict::kShortWord) {
    out.append(63, ' ');
    append_toned(out, to_string(frame.verdict), Tone::kBad, color);
    out += frame.torn ? " (torn)\n" : "\n";
    return;
  }
  append_hex(out, frame.word, 16);
  append_padded(out, frame.length.length, 10);
  append_padded(out, std::uint64_t{frame.length.padding}, 5);
  out += "  ";
  std::string scratch;
  if (frame.has_record()) {
    const std::string_view name = type_name(frame.record.type, scratch);
    if (color) append_toned(out, name, Tone::kName, true);
    else out += name;
    if (name.size() < 8) out.append(8 - name.size(), ' ');
    out += "  ";
    append_hex(out, frame.record.crc, 8);
    out += "  ";
    append_hex(out, frame.computed_crc, 8);
  } else {
    append_padded(out, "?", 28);
  }
  out += "  ";
  append_toned(out, to_string(frame.verdict), tone_of(frame.verdict), color);
  if (frame.torn) out += " (torn)";
  if (frame.phantom) out += " (no frame: the padding in the length word before is damaged)";
  else if (frame.record_intact) out += frame.verdict == FrameVerdict::kCrcMismatch ? " (a checksum before it is damaged)" : " (only its length word is damaged)";
  if (frame.behind_end) out += " (behind the end)";
  if (!frame.has_record() || (options_.frames_only && !options_.hex)) {
    out += '\n';
    return;
  }

  // "ok" is short; payloads begin in one column.
  if (frame.verdict == FrameVerdict::kOk) out += "     ";
  bool decoded = true;
  if (!options_.frames_only) {
    const std::size_t before = out.size();
    out += "  ";
    TreeWriter tree(out, false, options_.style.full ? std::string::npos : kTextLimit);
    tree.open_object("");
    decoded = describe_payload(frame.record, entry, may_show(frame, entry), tree, out);
    tree.close_object();
    if (out.size() == before + 2) out.resize(before);
    if (!decoded) append_toned(out, "  payload undecodable", Tone::kBad, color);
  }
  // Blanks that nothing follows.
  while (out.back() == ' ') out.pop_back();
  out += '\n';
  if (!options_.hex) return;
  if (options_.frames_only) decoded = decodes(frame.record, entry);
  hex_rows(frame, entry, decoded, out);
}

void FramePrinter::json_frame(const FoundFrame& frame, const std::optional<EntryView>& entry, std::string& out) const {
  TreeWriter tree(out, true);
  tree.open_object("");
  tree.word("segment", path_);
  tree.number("offset", frame.offset);
  if (frame.verdict != FrameVerdict::kShortWord) {
    out += ",\"word\":\"";
    append_hex(out, frame.word, 16);
    out += '"';
    tree.number("length", frame.length.length);
    tree.number("padding", std::uint64_t{frame.length.padding});
  }
  tree.word("verdict", to_string(frame.verdict));
  if (frame.torn) tree.boolean("torn", true);
  if (frame.phantom) tree.boolean("phantom", true);
  if (frame.record_intact) tree.boolean("record-intact", true);
  if (frame.behind_end) tree.boolean("behind-end", true);
  if (frame.has_record()) {
    std::string scratch;
    tree.word("type", type_name(frame.record.type, scratch));
    out += ",\"crc\":\"";
    append_hex(out, frame.record.crc, 8);
    out += "\",\"computed-crc\":\"";
    append_hex(out, frame.computed_crc, 8);
    out += '"';
    bool decoded = true;
    if (!options_.frames_only) {
      const std::size_t before = out.size();
      tree.open_object("payload");
      const std::size_t opened = out.size();
      decoded = describe_payload(frame.record, entry, may_show(frame, entry), tree, out);
      const bool empty = out.size() == opened;
      tree.close_object();
      if (empty) out.resize(before);
      if (!decoded) out += ",\"payload-undecodable\":true";
    }
    if (options_.hex && !frame.record.data.empty()) {
      if (options_.frames_only) decoded = decodes(frame.record, entry);
      if (may_show(frame, entry) && decoded) tree.word("hex", masked_hex(frame.record, entry));
      else tree.boolean("hex-withheld", true);
    }
  }
  out += "}\n";
}

// Damaged and undecodable entries may hold passwords where nobody can tell.
bool FramePrinter::may_show(const FoundFrame& frame, const std::optional<EntryView>& entry) const {
  if (frame.record.type != static_cast<std::int64_t>(RecordType::kEntry)) return !frame.broken() || frame.record_intact || options_.show_damaged;
  if (!entry) return false;
  if (!frame.broken() || frame.record_intact) return entry->kind != "undecodable";
  return options_.show_damaged && cannot_hold_secrets(*entry);
}

void FramePrinter::hex_rows(const FoundFrame& frame, const std::optional<EntryView>& entry, bool decoded, std::string& out) const {
  if (frame.record.data.empty()) return;
  if (!may_show(frame, entry) || !decoded) {
    out += "            bytes withheld: nobody can tell whether they hold a password\n";
    return;
  }
  const std::string digits = masked_hex(frame.record, entry);
  for (std::size_t row = 0; row < digits.size(); row += 64) {
    out.append(12, ' ');
    append_hex(out, row / 2, 6);
    out += ' ';
    for (std::size_t at = row; at < std::min(row + 64, digits.size()); at += 8) out += " " + digits.substr(at, 8);
    out += '\n';
  }
}

}  // namespace etcdpp::wal

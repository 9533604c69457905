#include "dump_printer.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace etcdpp::wal {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kTextLimit = 64;
constexpr std::size_t kOutputPiece = 64 * 1024;

bool has_record(const FoundFrame& frame) { return !frame.broken() || frame.verdict == FrameVerdict::kCrcMismatch; }

// The payload's bytes in hexadecimal, secrets starred.
std::string masked_hex(const FoundFrame& frame, const Payload& payload) {
  std::string out = base::hex(frame.record.data);
  for (const base::BytesView secret : payload.secrets) {
    const auto at = static_cast<std::ptrdiff_t>(2 * (secret.data() - frame.record.data.data()));
    std::fill_n(out.begin() + at, 2 * secret.size(), '*');
  }
  return out;
}

}  // namespace

const char* to_string(Ending ending) {
  switch (ending) {
    case Ending::kIntact: return "intact";
    case Ending::kTornTail: return "torn tail";
    case Ending::kDamaged: return "damaged";
    case Ending::kHiddenData: return "hidden data";
  }
  return "?";
}

bool DumpPrinter::segment(const std::string& path, std::uint64_t size) {
  path_ = base::printable(path);
  if (options_.json || options_.verdict_only) return alive_;
  header_ = fmt::format("segment {}  {} bytes\n    offset  length word       length  pad  type      crc       verdict\n", path_, size);
  return options_.last == 0 ? write(header_) : alive_;
}

bool DumpPrinter::frame(const FoundFrame& frame) {
  ++frames_;
  if (options_.verdict_only) return alive_;
  std::string line = options_.json ? json_frame(frame) : text_frame(frame);
  if (options_.last == 0) return write(line);
  kept_.push_back({header_, std::move(line)});
  if (kept_.size() > options_.last) kept_.pop_front();
  return alive_;
}

bool DumpPrinter::verdict(const std::string& log, Ending ending, const std::string& text, std::uint64_t first_index,
                          std::uint64_t last_index) {
  const std::string* header = nullptr;
  for (const Kept& each : kept_) {
    if (!header || *header != each.header) write(each.header);
    header = &each.header;
    write(each.line);
  }
  if (options_.json) {
    Json out = {{"log", base::printable(log)}, {"verdict", to_string(ending)}, {"exit-code", static_cast<int>(ending)}, {"frames", frames_}};
    if (first_index > 0) {
      out["first-index"] = first_index;
      out["last-index"] = last_index;
    }
    out["text"] = text;
    write(out.dump() + "\n");
  } else {
    std::string counts = fmt::format("{} frames", frames_);
    if (first_index > 0) counts += fmt::format(", entries {} to {}", first_index, last_index);
    write(fmt::format("{}\nverdict: {}: {}\n", counts, to_string(ending), base::printable(text)));
  }
  return flush();
}

std::string DumpPrinter::text_frame(const FoundFrame& frame) const {
  std::string line = fmt::format("{:>10}  ", frame.offset);
  if (frame.verdict == FrameVerdict::kShortWord) return line + "short-word: the file ends within a length word\n";
  line += fmt::format("{:016x}  {:>6}  {:>3}  ", frame.word, frame.length.length, frame.length.padding);
  if (!has_record(frame)) return line + fmt::format("{:<8}  {:<8}  {}{}\n", "?", "", to_string(frame.verdict), frame.torn ? " (torn)" : "");

  line += fmt::format("{:<8}  {:08x}  {}", record_type_name(frame.record.type), frame.record.crc, to_string(frame.verdict));
  if (frame.verdict == FrameVerdict::kCrcMismatch) line += fmt::format(" (computed {:08x}{})", frame.computed_crc, frame.torn ? ", torn" : "");
  if (frame.behind_end) line += " (behind the end)";
  if (options_.frames_only && !options_.hex) return line + "\n";

  Json said = Json::object();
  const Payload payload = describe_payload(frame.record, !frame.broken() || options_.show_damaged, said);
  if (!options_.frames_only) {
    if (!payload.decoded) line += "  payload undecodable";
    if (!said.empty()) line += "  " + one_line(said, options_.full ? std::string::npos : kTextLimit);
  }
  line += '\n';
  if (options_.hex) line += hex_rows(frame, payload);
  return line;
}

std::string DumpPrinter::json_frame(const FoundFrame& frame) const {
  Json out = {{"segment", path_}, {"offset", frame.offset}};
  if (frame.verdict != FrameVerdict::kShortWord) {
    out["word"] = fmt::format("{:016x}", frame.word);
    out["length"] = frame.length.length;
    out["padding"] = frame.length.padding;
  }
  out["verdict"] = to_string(frame.verdict);
  if (frame.torn) out["torn"] = true;
  if (frame.behind_end) out["behind-end"] = true;
  if (has_record(frame)) {
    out["type"] = record_type_name(frame.record.type);
    out["crc"] = fmt::format("{:08x}", frame.record.crc);
    out["computed-crc"] = fmt::format("{:08x}", frame.computed_crc);
    if (!options_.frames_only || options_.hex) {
      Json said = Json::object();
      const Payload payload = describe_payload(frame.record, !frame.broken() || options_.show_damaged, said);
      if (!payload.decoded) out["payload-undecodable"] = true;
      if (!options_.frames_only && !said.empty()) out["payload"] = std::move(said);
      if (options_.hex && may_show(frame, payload)) out["hex"] = masked_hex(frame, payload);
    }
  }
  return out.dump() + "\n";
}

bool DumpPrinter::may_show(const FoundFrame& frame, const Payload& payload) const {
  return options_.show_damaged || (!frame.broken() && payload.decoded);
}

std::string DumpPrinter::hex_rows(const FoundFrame& frame, const Payload& payload) const {
  if (frame.record.data.empty()) return {};
  if (!may_show(frame, payload)) return "            bytes withheld: they may hold passwords (--show-damaged prints them)\n";
  const std::string digits = masked_hex(frame, payload);
  std::string out;
  for (std::size_t row = 0; row < digits.size(); row += 64) {
    out += fmt::format("            {:06x} ", row / 2);
    for (std::size_t at = row; at < std::min(row + 64, digits.size()); at += 8) out += " " + digits.substr(at, 8);
    out += '\n';
  }
  return out;
}

bool DumpPrinter::write(const std::string& text) {
  pending_ += text;
  return pending_.size() < kOutputPiece ? alive_ : flush();
}

bool DumpPrinter::flush() {
  alive_ = alive_ && (pending_.empty() || sink_(pending_));
  pending_.clear();
  return alive_;
}

}  // namespace etcdpp::wal

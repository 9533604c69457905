#include "printer.h"

#include <algorithm>
#include <cctype>

namespace etcdpp::mvccdump {

namespace {

constexpr std::size_t kMeasured = 256;
constexpr std::size_t kWidest = 64;
constexpr std::size_t kShortened = 64;

template <typename... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};

// Length of the UTF-8 character at `at`; 0: none, or one that a terminal obeys (DEL and C1 controls).
std::size_t utf8_length(base::BytesView text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto tail = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned first = byte(at);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return tail(at + 1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (!tail(at + 1) || !tail(at + 2)) return 0;
    if (first == 0xE0 && byte(at + 1) < 0xA0) return 0;
    if (first == 0xED && byte(at + 1) > 0x9F) return 0;  // surrogates
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (!tail(at + 1) || !tail(at + 2) || !tail(at + 3)) return 0;
    if (first == 0xF0 && byte(at + 1) < 0x90) return 0;
    if (first == 0xF4 && byte(at + 1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}

void append_escaped(std::string& out, unsigned code) {
  constexpr char kDigits[] = "0123456789abcdef";
  out += "\\u00";
  out += kDigits[code >> 4 & 15];
  out += kDigits[code & 15];
}

std::string shortened(base::BytesView bytes, bool full) {
  if (full || bytes.size() <= kShortened) return base::printable(bytes);
  return base::printable(bytes.substr(0, kShortened)) + "... (" + std::to_string(bytes.size()) + " bytes)";
}

}  // namespace

bool is_utf8(base::BytesView text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

std::string json_string(base::BytesView text) {
  std::string out = "\"";
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text, at);
    const auto byte = static_cast<unsigned char>(text[at]);
    if (length == 0) {
      out += "\\ufffd";
      ++at;
      continue;
    }
    if (length == 1 && (byte == '"' || byte == '\\')) {
      out += '\\';
      out += text[at];
    } else if (length == 1 && byte == '\n') {
      out += "\\n";
    } else if (length == 1 && (byte < 0x20 || byte == 0x7F)) {
      append_escaped(out, byte);
    } else if (length == 2 && byte == 0xC2 && static_cast<unsigned char>(text[at + 1]) < 0xA0) {
      append_escaped(out, static_cast<unsigned char>(text[at + 1]));  // C1: terminals obey these too
    } else {
      out.append(text.substr(at, length));
    }
    at += length;
  }
  return out + '"';
}

std::string in_quotes(base::BytesView bytes) {
  std::string out = "\"";
  for (const char c : base::printable(bytes)) {
    if (c == '"') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string Printer::cell(const Field& field) const {
  return std::visit(
      Overloaded{
          [](const None&) { return std::string("-"); },
          [](std::int64_t n) { return std::to_string(n); },
          [](std::uint64_t n) { return std::to_string(n); },
          [](bool yes) { return std::string(yes ? "true" : "false"); },
          [&](const Text& t) { return base::printable(t.text); },
          [&](const Data& d) { return d.bytes.empty() ? std::string("\"\"") : shortened(d.bytes, full_); },
          [&](const DataList& list) {
            std::string out;
            for (const auto& item : list.items) {
              if (!full_ && out.size() > kShortened) {
                out += ", ... (" + std::to_string(list.items.size()) + ")";
                break;
              }
              out += (out.empty() ? "" : ", ") + shortened(item, full_);
            }
            return out.empty() ? std::string("-") : out;
          },
          [](const Id& id) { return base::hex(id.id); },
          [](const Json& json) { return base::printable(json.json); },
      },
      field.value);
}

void Printer::write_json(const Record& record) {
  std::string line = "{";
  for (const Field& field : record) {
    if (std::holds_alternative<None>(field.value)) continue;
    if (line.size() > 1) line += ',';
    const Data* data = std::get_if<Data>(&field.value);
    const bool as_hex = data && !is_utf8(data->bytes);
    line += json_string(std::string(field.name) + (as_hex ? "_hex" : "")) + ':';
    line += std::visit(Overloaded{
                           [](const None&) { return std::string(); },
                           [](std::int64_t n) { return std::to_string(n); },
                           [](std::uint64_t n) { return std::to_string(n); },
                           [](bool yes) { return std::string(yes ? "true" : "false"); },
                           [](const Text& t) { return json_string(t.text); },
                           [&](const Data& d) { return as_hex ? '"' + base::hex(base::BytesView(d.bytes)) + '"' : json_string(d.bytes); },
                           [](const DataList& list) {
                             std::string out = "[";
                             for (const auto& item : list.items) {
                               if (out.size() > 1) out += ',';
                               out += is_utf8(item) ? json_string(item) : R"({"hex":")" + base::hex(base::BytesView(item)) + "\"}";
                             }
                             return out + ']';
                           },
                           [](const Id& id) { return '"' + base::hex(id.id) + '"'; },
                           [](const Json& json) { return json.json; },
                       },
                       field.value);
  }
  out_.write(line + "}\n");
}

void Printer::write_cells(const Cells& cells) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    line += cells[i];
    if (i + 1 == cells.size()) break;
    const std::size_t width = i < widths_.size() ? widths_[i] : 0;
    line.append(2 + (cells[i].size() < width ? width - cells[i].size() : 0), ' ');
  }
  out_.write(line + '\n');
}

void Printer::settle() {
  settled_ = true;
  for (const Cells& cells : waiting_) {
    widths_.resize(std::max(widths_.size(), cells.size()));
    for (std::size_t i = 0; i < cells.size(); ++i) widths_[i] = std::max(widths_[i], std::min(cells[i].size(), kWidest));
  }
  for (const Cells& cells : waiting_) write_cells(cells);
  waiting_.clear();
}

void Printer::print(const Record& record) {
  if (format_ == Format::kJson) return write_json(record);
  Cells cells;
  if (waiting_.empty() && !settled_) {
    for (const Field& field : record) {
      std::string name = field.name;
      for (char& c : name) c = c == '_' ? ' ' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      cells.push_back(std::move(name));
    }
    waiting_.push_back(std::move(cells));
    cells.clear();
  }
  for (const Field& field : record) cells.push_back(cell(field));
  if (settled_) return write_cells(cells);
  waiting_.push_back(std::move(cells));
  if (waiting_.size() > kMeasured) settle();
}

void Printer::end_table() {
  settle();
  settled_ = false;
  widths_.clear();
}

void Printer::begin_table(const std::string& title) {
  end_table();
  if (format_ == Format::kTable) out_.write("\n" + title + "\n");
}

void Printer::print_list(const Record& record) {
  end_table();
  if (format_ == Format::kJson) return write_json(record);
  std::size_t width = 0;
  for (const Field& field : record) width = std::max(width, std::string_view(field.name).size());
  for (const Field& field : record) {
    if (std::holds_alternative<None>(field.value)) continue;
    std::string name = field.name;
    std::replace(name.begin(), name.end(), '_', ' ');
    name.resize(width + 2, ' ');
    out_.write(name + cell(field) + '\n');
  }
}

}  // namespace etcdpp::mvccdump

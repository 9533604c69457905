#include "text_out.h"

#include <charconv>

namespace etcdpp::wal {

namespace {
constexpr char kDigits[] = "0123456789abcdef";
}

void append_number(std::string& out, std::uint64_t value) {
  char buffer[20];
  out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
}

void append_number(std::string& out, std::int64_t value) {
  char buffer[20];
  out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
}

void append_padded(std::string& out, std::uint64_t value, std::size_t width) {
  char buffer[20];
  const auto length = static_cast<std::size_t>(std::to_chars(buffer, buffer + sizeof buffer, value).ptr - buffer);
  if (length < width) out.append(width - length, ' ');
  out.append(buffer, length);
}

void append_padded(std::string& out, std::string_view text, std::size_t width) {
  out += text;
  if (text.size() < width) out.append(width - text.size(), ' ');
}

void append_hex(std::string& out, std::uint64_t value) {
  char buffer[16];
  out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value, 16).ptr);
}

void append_hex(std::string& out, std::uint64_t value, std::size_t digits) {
  const std::size_t at = out.size();
  out.resize(at + digits);
  for (std::size_t i = digits; i-- > 0; value >>= 4) out[at + i] = kDigits[value & 15];
}

void append_printable(std::string& out, base::BytesView bytes, bool json) {
  std::size_t plain = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto c = static_cast<unsigned char>(bytes[i]);
    if (c >= 0x20 && c < 0x7f && c != '\\' && c != '"') continue;
    out.append(bytes.substr(plain, i - plain));
    plain = i + 1;
    if (c == '"') {
      out += "\\\"";
    } else if (c == '\\') {
      out += json ? "\\\\\\\\" : "\\\\";
    } else {
      out += json ? "\\\\x" : "\\x";
      out += kDigits[c >> 4];
      out += kDigits[c & 15];
    }
  }
  out.append(bytes.substr(plain));
}

void TreeWriter::begin(std::string_view name) {
  const bool first = out_.size() == start_ || out_.back() == '{' || out_.back() == '[';
  if (!first) out_ += json_ ? ',' : ' ';
  if (name.empty()) return;
  if (json_) {
    out_ += '"';
    out_ += name;
    out_ += "\":";
  } else {
    out_ += name;
    out_ += '=';
  }
}

void TreeWriter::literal(std::string_view name, std::string_view value) {
  begin(name);
  out_ += value;
}

void TreeWriter::open_object(std::string_view name) {
  begin(name);
  if (json_ || depth_ > 0) out_ += '{';
  ++depth_;
}

void TreeWriter::close_object() {
  --depth_;
  if (json_ || depth_ > 0) out_ += '}';
}

void TreeWriter::open_list(std::string_view name) {
  begin(name);
  out_ += '[';
}

void TreeWriter::close_list() { out_ += ']'; }

void TreeWriter::bytes(std::string_view name, base::BytesView value) {
  begin(name);
  out_ += '"';
  const bool shortened = !json_ && value.size() > limit_;
  append_printable(out_, shortened ? value.substr(0, limit_) : value, json_);
  out_ += '"';
  if (!shortened) return;
  out_ += "...(";
  append_number(out_, std::uint64_t{value.size()});
  out_ += ')';
}

void TreeWriter::word(std::string_view name, std::string_view value) {
  begin(name);
  if (json_) out_ += '"';
  out_ += value;
  if (json_) out_ += '"';
}

void TreeWriter::id(std::string_view name, std::uint64_t value) {
  begin(name);
  if (json_) out_ += '"';
  append_hex(out_, value);
  if (json_) out_ += '"';
}

void TreeWriter::number(std::string_view name, std::uint64_t value) {
  begin(name);
  append_number(out_, value);
}

void TreeWriter::number(std::string_view name, std::int64_t value) {
  begin(name);
  append_number(out_, value);
}

}  // namespace etcdpp::wal

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <etcdpp/base/bytes.h>

namespace etcdpp::wal {

/// Numbers and bytes appended to text, without allocation or locale: a dump prints millions of them.

void append_number(std::string& out, std::uint64_t value);
void append_number(std::string& out, std::int64_t value);
/// Right-aligned.
void append_padded(std::string& out, std::uint64_t value, std::size_t width);
/// Left-aligned.
void append_padded(std::string& out, std::string_view text, std::size_t width);
void append_hex(std::string& out, std::uint64_t value);
void append_hex(std::string& out, std::uint64_t value, std::size_t digits);
/// As base::printable; for JSON its backslashes, and quotes in both forms, are escaped once more.
void append_printable(std::string& out, base::BytesView bytes, bool json);

/// Names and values, as one line for people (`name=value name={…} name=[…]`) or as JSON. Inside a list names are left out.
///
///     TreeWriter tree(out, json);
///     tree.open_object("");
///     tree.number("index", 7);
///     tree.close_object();
class TreeWriter {
 public:
  /// Text shortens bytes above `limit` and says their size; JSON never does.
  TreeWriter(std::string& out, bool json, std::size_t limit = std::string::npos) : out_(out), json_(json), limit_(limit), start_(out.size()) {}

  /// The outermost object has no braces in text.
  void open_object(std::string_view name);
  void close_object();
  void open_list(std::string_view name);
  void close_list();

  void bytes(std::string_view name, base::BytesView value);
  /// A word of ours: not quoted in text.
  void word(std::string_view name, std::string_view value);
  void id(std::string_view name, std::uint64_t value);
  void number(std::string_view name, std::uint64_t value);
  void number(std::string_view name, std::int64_t value);
  void boolean(std::string_view name, bool value) { literal(name, value ? "true" : "false"); }

 private:
  void begin(std::string_view name);
  void literal(std::string_view name, std::string_view value);

  std::string& out_;
  const bool json_;
  const std::size_t limit_;
  std::size_t start_;
  int depth_ = 0;
};

}  // namespace etcdpp::wal

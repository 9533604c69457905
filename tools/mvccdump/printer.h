#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <etcdpp/base/bytes.h>

#include "output.h"

namespace etcdpp::mvccdump {

/// A table for people, in which nothing is left that a terminal would obey, or one JSON object a line.
enum class Format { kTable, kJson };

/// One named value of a record.
///
/// In JSON, Data is a string under its name where it is UTF-8, else hexadecimal under `<name>_hex`; an Id is hexadecimal
/// text as etcd prints it; None is left out.
struct None {};
struct Text {
  std::string text;
};
struct Data {
  base::Bytes bytes;
};
struct DataList {
  std::vector<base::Bytes> items;
};
struct Id {
  std::uint64_t id = 0;
};
/// JSON already.
struct Json {
  std::string json;
};
struct Field {
  const char* name;
  std::variant<None, std::int64_t, std::uint64_t, bool, Text, Data, DataList, Id, Json> value;
};
using Record = std::vector<Field>;

/// The field, without its value where `there` is false.
template <typename Value>
Field field_if(bool there, const char* name, Value value) {
  Field field{name, None{}};
  if (there) field.value = std::move(value);
  return field;
}

/// Writes records of one shape after the other, each command's answer in both formats.
///
/// A table's widths come from its first records, so that long ones are written as they come.
class Printer {
 public:
  /// `full`: long values are not shortened in tables.
  Printer(Output& out, Format format, bool full = false) : out_(out), format_(format), full_(full) {}
  ~Printer() { end_table(); }

  Format format() const { return format_; }
  Output& out() { return out_; }
  /// One row of a table. The names of the first are its head.
  void print(const Record& record);
  /// Ends the table, and gives the next a title (tables only).
  void begin_table(const std::string& title);
  /// A record of its own: names and values below each other.
  void print_list(const Record& record);
  void end_table();

 private:
  using Cells = std::vector<std::string>;
  std::string cell(const Field& field) const;
  void write_cells(const Cells& cells);
  void write_json(const Record& record);
  void settle();

  Output& out_;
  const Format format_;
  const bool full_;
  std::vector<Cells> waiting_;
  std::vector<std::size_t> widths_;
  bool settled_ = false;
};

/// `text` between quotes. Bytes that are no UTF-8 are replaced; use Data where they may come.
std::string json_string(base::BytesView text);
bool is_utf8(base::BytesView text);
/// Between double quotes, escaped for a terminal, quotes too.
std::string in_quotes(base::BytesView bytes);

}  // namespace etcdpp::mvccdump

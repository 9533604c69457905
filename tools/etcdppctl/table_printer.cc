#include <algorithm>
#include <ostream>

#include "go_text.h"
#include "printer.h"

namespace etcdpp::ctl {
namespace {

namespace pb = etcdserverpb;

using Row = std::vector<std::string>;

/// Code points, which is the width of what stands in these tables.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string spaces(std::size_t count) {
  return std::string(count, ' ');
}

/// Boxes with the headings centred and the cells to the right.
class TablePrinter final : public Printer {
 public:
  explicit TablePrinter(Style style) : Printer(style, "table") {}

  Outcome<> member_list(const pb::MemberListResponse& response) override {
    return table({"ID", "STATUS", "NAME", "PEER ADDRS", "CLIENT ADDRS", "IS LEARNER"}, member_rows(response));
  }

  Outcome<> health(const std::vector<EndpointHealth>& endpoints) override {
    std::vector<Row> rows;
    for (const auto& health : endpoints)
      rows.push_back({health.endpoint, health.healthy ? "true" : "false", go_duration(health.took),
                      health.error.substr(0, health.error.find_last_not_of(' ') + 1)});
    return table({"ENDPOINT", "HEALTH", "TOOK", "ERROR"}, rows);
  }

  Outcome<> status(const std::vector<EndpointStatus>& endpoints) override {
    return table({"ENDPOINT", "ID", "VERSION", "STORAGE VERSION", "DB SIZE", "IN USE", "PERCENTAGE NOT IN USE", "QUOTA",
                  "IS LEADER", "IS LEARNER", "RAFT TERM", "RAFT INDEX", "RAFT APPLIED INDEX", "ERRORS",
                  "DOWNGRADE TARGET VERSION", "DOWNGRADE ENABLED"},
                 status_rows(endpoints));
  }

  Outcome<> hash_kv(const std::vector<EndpointHashKv>& endpoints) override {
    return table({"ENDPOINT", "HASH", "HASH REVISION"}, hash_kv_rows(endpoints));
  }

 private:
  Outcome<> table(const Row& headings, const std::vector<Row>& rows) {
    std::vector<std::size_t> widths;
    for (std::size_t i = 0; i < headings.size(); ++i) {
      std::size_t width = width_of(headings[i]);
      for (const Row& row : rows) width = std::max(width, width_of(row[i]));
      widths.push_back(width);
    }
    rule(widths, "┌", "┬", "┐");
    out() << "│";
    for (std::size_t i = 0; i < headings.size(); ++i) {
      const std::size_t room = widths[i] - width_of(headings[i]);
      out() << ' ' << spaces(room / 2) << headings[i] << spaces(room - room / 2) << " │";
    }
    out() << '\n';
    rule(widths, "├", "┼", "┤");
    for (const Row& row : rows) {
      out() << "│";
      for (std::size_t i = 0; i < row.size(); ++i)
        out() << ' ' << spaces(widths[i] - width_of(row[i])) << row[i] << " │";
      out() << '\n';
    }
    rule(widths, "└", "┴", "┘");
    return {};
  }

  void rule(const std::vector<std::size_t>& widths, const char* left, const char* middle, const char* right) {
    for (std::size_t i = 0; i < widths.size(); ++i) {
      out() << (i ? middle : left);
      for (std::size_t n = 0; n < widths[i] + 2; ++n) out() << "─";
    }
    out() << right << '\n';
  }
};

}  // namespace

std::unique_ptr<Printer> make_table_printer(Printer::Style style) {
  return std::make_unique<TablePrinter>(style);
}

}  // namespace etcdpp::ctl

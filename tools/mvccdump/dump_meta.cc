#include <algorithm>
#include <ostream>
#include <utility>
#include <vector>

#include <etcdpp/backend/errc.h>

#include "dump.h"
#include "rebuilt_index.h"
#include "row_text.h"

namespace etcdpp::mvccdump {

namespace {

using backend::Bucket;
using backend::DatabaseFile;

// One line of the answer; `bare` values are numbers or booleans in JSON.
struct Line {
  std::string name;
  std::string value;
  bool bare = false;
};

std::string number_or_damaged(const std::optional<std::uint64_t>& number, bool as_id) {
  if (!number) return "damaged";
  return as_id ? base::hex(*number) : std::to_string(*number);
}

std::string json_string(base::BytesView text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

void print(const std::vector<Line>& lines, Format format, std::ostream& out) {
  if (format == Format::kJson) {
    out << '{';
    for (std::size_t i = 0; i < lines.size(); ++i)
      out << (i ? "," : "") << json_string(lines[i].name) << ':' << (lines[i].bare ? lines[i].value : json_string(lines[i].value));
    out << "}\n";
    return;
  }
  for (const Line& line : lines) out << line.name << std::string(26 - std::min<std::size_t>(line.name.size(), 25), ' ') << line.value << '\n';
}

}  // namespace

base::Result<Findings> dump_meta(DatabaseFile& database, Format format, std::ostream& out) {
  backend::PageReader& pages = database.pages();
  std::vector<Line> lines;
  auto number = [&](std::string name, auto value) { lines.push_back({std::move(name), std::to_string(value), true}); };
  auto text = [&](std::string name, std::string value) { lines.push_back({std::move(name), std::move(value)}); };

  text("file", base::printable(pages.path()));
  number("page_size", pages.page_size());
  number("pages", pages.pages());
  number("last_transaction", pages.transaction());
  // Of a running member's file the walk may be overtaken by commits; the verdict is then about the reading, not the file.
  const std::uint64_t before = pages.transaction();
  const base::Result<> structure =
      pages.both_metas() ? pages.verify() : base::Error(backend::Errc::kDamaged, "one of the two meta pages is not whole");
  ETCDPP_ASSIGN(const auto now, DatabaseFile::open(base::posix_env(), pages.path()));
  const bool overtaken = now->pages().transaction() != before;
  text("structure", structure ? "whole" : overtaken ? "unknown: the file is being written" : base::printable(structure.error().message()));

  // What cannot be read is left out, so that the rest is shown; the first reason is the answer.
  base::Result<> unreadable;
  DatabaseFile::Identity identity;
  if (auto read = database.identity()) {
    identity = *read;
  } else {
    unreadable = base::Error(read.error());
  }
  text("format_version", number_or_damaged(identity.format_version, false));
  text("cluster_id", number_or_damaged(identity.cluster_id, true));
  text("member_id", number_or_damaged(identity.member_id, true));

  Findings findings;
  std::uint64_t live_bytes = 0;
  for (const Bucket bucket : backend::kBuckets) {
    std::uint64_t rows = 0;
    const auto scanned = database.scan_bucket(bucket, [&](const DatabaseFile::FileRow& row) -> base::Result<> {
      ++rows;
      live_bytes += row.key.size() + row.value.size() + 16;
      if (!row.intact) ++findings.bad_checksums;
      if (bucket == Bucket::kMeta) {
        const RowText shown = row_text(bucket, row.key, row.value);
        text("meta/" + base::printable(row.key), row.key == "confState" || row.key == "storageVersion" ? base::printable(row.value) : shown.value);
      }
      return {};
    });
    if (!scanned) {
      if (unreadable) unreadable = scanned;
      continue;
    }
    number("rows in " + std::string(backend::bucket_name(bucket)), rows);
  }
  if (const auto rebuilt = rebuild_index(database)) {
    findings.undecodable = rebuilt->findings.undecodable;
    number("revision", rebuilt->revision);
    number("keys", rebuilt->keys.size());
  } else if (unreadable) {
    unreadable = base::Error(rebuilt.error());
  }
  number("live_bytes counted", live_bytes);
  text("live_bytes recorded", number_or_damaged(identity.live_bytes, false));
  number("bad_checksums", findings.bad_checksums);
  number("undecodable_rows", findings.undecodable);
  print(lines, format, out);
  ETCDPP_TRY(unreadable);
  if (!structure && !overtaken) return base::Error(structure.error());
  return findings;
}

}  // namespace etcdpp::mvccdump

#include <ostream>

#include "dump.h"
#include "rebuilt_index.h"
#include "row_text.h"

namespace etcdpp::mvccdump {

namespace {

void print_text(base::BytesView key, const mvcc::Revision& modified, const std::vector<mvcc::Generation>& generations,
                std::ostream& out) {
  out << "key=" << quoted(key) << " modified=" << revision_text(modified) << '\n';
  for (std::size_t i = 0; i < generations.size(); ++i) {
    const mvcc::Generation& generation = generations[i];
    const bool ended = i + 1 < generations.size();
    out << "  generation " << i + 1 << ": ";
    if (generation.revisions.empty()) {
      out << "empty (the key is deleted)\n";
      continue;
    }
    out << "created=" << (generation.created > 0 ? std::to_string(generation.created) : "before the compaction")
        << " version=" << generation.version << " lives " << (generation.created > 0 ? std::to_string(generation.created) : "?")
        << (ended ? "-" + std::to_string(generation.revisions.back().main) : " on") << " revisions=[";
    for (std::size_t r = 0; r < generation.revisions.size(); ++r) {
      const bool tombstone = ended && r + 1 == generation.revisions.size();
      out << (r ? " " : "") << revision_text(generation.revisions[r]) << (tombstone ? "t" : "");
    }
    out << "]\n";
  }
}

void print_json(base::BytesView key, const mvcc::Revision& modified, const std::vector<mvcc::Generation>& generations,
                std::ostream& out) {
  out << R"({"key":")" << base::hex(key) << R"(","modified":")" << revision_text(modified) << R"(","generations":[)";
  for (std::size_t i = 0; i < generations.size(); ++i) {
    const mvcc::Generation& generation = generations[i];
    out << (i ? "," : "") << R"({"created":)" << generation.created << R"(,"version":)" << generation.version
        << R"(,"ended":)" << (i + 1 < generations.size() ? "true" : "false") << R"(,"revisions":[)";
    for (std::size_t r = 0; r < generation.revisions.size(); ++r)
      out << (r ? "," : "") << '"' << revision_text(generation.revisions[r]) << '"';
    out << "]}";
  }
  out << "]}\n";
}

}  // namespace

base::Result<Findings> dump_keys(backend::DatabaseFile& database, Format format, base::BytesView prefix, std::ostream& out) {
  ETCDPP_ASSIGN(const RebuiltIndex rebuilt, rebuild_index(database));
  const mvcc::IndexRoot root = rebuilt.index.current();
  for (auto key = rebuilt.keys.lower_bound(base::Bytes(prefix)); key != rebuilt.keys.end() && key->starts_with(prefix); ++key) {
    const std::vector<mvcc::Generation> generations = root.generations(*key);
    mvcc::Revision modified;
    for (const mvcc::Generation& generation : generations)
      if (!generation.revisions.empty()) modified = generation.revisions.back();
    (format == Format::kText ? print_text : print_json)(*key, modified, generations, out);
  }
  return rebuilt.findings;
}

}  // namespace etcdpp::mvccdump

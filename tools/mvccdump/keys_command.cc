#include <algorithm>

#include "rebuilt_index.h"

namespace etcdpp::mvccdump {

namespace {

// "2-4", "5-" (lives), "?-7" (created before the compaction).
std::string life_text(const mvcc::Generation& generation, bool ended) {
  return (generation.created > 0 ? std::to_string(generation.created) : "?") + "-" +
         (ended ? std::to_string(generation.revisions.back().main) : "");
}

void print_json(Printer& printer, base::BytesView key, const mvcc::Revision& modified, const std::vector<mvcc::Generation>& generations) {
  std::string list = "[";
  for (std::size_t i = 0; i < generations.size(); ++i) {
    const mvcc::Generation& generation = generations[i];
    const bool ended = i + 1 < generations.size();
    if (i > 0) list += ',';
    list += R"({"created":)" + std::to_string(generation.created) + R"(,"version":)" + std::to_string(generation.version);
    if (!generation.revisions.empty()) {
      list += R"(,"modified":")" + revision_text(generation.revisions.back()) + R"(","from":)" + std::to_string(generation.created);
      if (ended) list += R"(,"to":)" + std::to_string(generation.revisions.back().main);
    }
    list += R"(,"ended":)" + std::string(ended ? "true" : "false") + R"(,"revisions":[)";
    for (std::size_t r = 0; r < generation.revisions.size(); ++r) list += (r > 0 ? ",\"" : "\"") + revision_text(generation.revisions[r]) + '"';
    list += "]}";
  }
  printer.print({{"key", Data{base::Bytes(key)}}, {"modified", Text{revision_text(modified)}}, {"generations", Json{list + "]"}}});
}

void print_table(Printer& printer, base::BytesView key, const std::vector<mvcc::Generation>& generations) {
  for (std::size_t i = 0; i < generations.size(); ++i) {
    const mvcc::Generation& generation = generations[i];
    // The empty one behind a tombstone says only that the key does not exist now.
    if (generation.revisions.empty()) continue;
    const bool ended = i + 1 < generations.size();
    std::string revisions;
    for (std::size_t r = 0; r < generation.revisions.size(); ++r) {
      if (r >= 12 && r + 3 < generation.revisions.size()) {
        if (r == 12) revisions += " ...";
        continue;
      }
      const bool tombstone = ended && r + 1 == generation.revisions.size();
      revisions += (r > 0 ? " " : "") + revision_text(generation.revisions[r]) + (tombstone ? "t" : "");
    }
    printer.print({{"key", Data{base::Bytes(key)}},
                   {"generation", static_cast<std::uint64_t>(i + 1)},
                   {"lives", Text{life_text(generation, ended)}},
                   field_if(generation.created > 0, "created", generation.created),
                   {"modified", Text{revision_text(generation.revisions.back())}},
                   {"version", generation.version},
                   {"revisions", Text{revisions}}});
  }
}

}  // namespace

base::Result<Exit> keys_command(Context& context) {
  ETCDPP_ASSIGN(const auto source, context.open(context.options.path));
  ETCDPP_ASSIGN(const RebuiltIndex rebuilt, rebuild_index(context, *source));
  const mvcc::IndexRoot root = rebuilt.index.current();
  const base::Bytes& prefix = context.options.prefix;
  for (auto key = std::lower_bound(rebuilt.keys.begin(), rebuilt.keys.end(), base::BytesView(prefix)); key != rebuilt.keys.end() && key->starts_with(prefix); ++key) {
    if (context.options.only_key && *key != *context.options.only_key) continue;
    const std::vector<mvcc::Generation> generations = root.generations(*key);
    mvcc::Revision modified;
    for (const mvcc::Generation& generation : generations)
      if (!generation.revisions.empty()) modified = generation.revisions.back();
    if (context.printer.format() == Format::kJson) {
      print_json(context.printer, *key, modified, generations);
    } else {
      print_table(context.printer, *key, generations);
    }
    if (context.printer.out().closed()) break;
  }
  return Exit::kFine;
}

}  // namespace etcdpp::mvccdump

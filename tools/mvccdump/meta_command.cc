#include <algorithm>

#include <nlohmann/json.hpp>

#include <etcdpp/bolt/trailer.h>

#include "key_rows.h"

namespace etcdpp::mvccdump {

namespace {

template <typename Value>
Field or_none(const char* name, const std::optional<Value>& value) {
  return field_if(value.has_value(), name, value.value_or(Value()));
}

Field id_or_none(const char* name, const std::optional<std::uint64_t>& id) { return field_if(id.has_value(), name, Id{id.value_or(0)}); }

}  // namespace

base::Result<Exit> meta_command(Context& context) {
  ETCDPP_ASSIGN(const auto source, context.open(context.options.path));
  ETCDPP_ASSIGN(const FileFacts facts, source->facts());
  Record record{{"file", Data{source->path()}},
                {"format", Text{facts.engine == Engine::kOwn ? "etcdpp (LMDB)" : "etcd (bbolt)"}},
                {"file_size", facts.file_size},
                {"page_size", facts.page_size},
                {"pages", facts.pages},
                {"transaction", facts.transaction}};
  if (facts.engine == Engine::kBbolt) {
    ETCDPP_ASSIGN(const bolt::Trailer trailer, bolt::check_trailer(context.env, source->path()));
    record.push_back({"sha256_trailer", Text{trailer == bolt::Trailer::kAbsent ? "none" : trailer == bolt::Trailer::kRight ? "right" : "WRONG"}});
  } else {
    record.push_back(or_none("format_version", facts.format_version));
    record.push_back(id_or_none("cluster_id", facts.cluster_id));
    record.push_back(id_or_none("member_id", facts.member_id));
  }

  std::optional<std::uint64_t> index, term;
  std::optional<base::Bytes> conf_state, storage_version, cluster_version, downgrade;
  ETCDPP_TRY(source->scan(Bucket::kMeta, [&](const Row& row) -> base::Result<> {
    if (row.key == backend::meta_key::kConsistentIndex && row.value.size() == 8) index = base::get_be64(row.value.data());
    if (row.key == backend::meta_key::kTerm && row.value.size() == 8) term = base::get_be64(row.value.data());
    if (row.key == backend::meta_key::kConfState) conf_state = row.value;
    if (row.key == backend::meta_key::kStorageVersion) storage_version = row.value;
    return {};
  }));
  ETCDPP_TRY(source->scan(Bucket::kCluster, [&](const Row& row) -> base::Result<> {
    if (row.key == "clusterVersion") cluster_version = row.value;
    if (row.key == "downgrade") downgrade = row.value;
    return {};
  }));
  ETCDPP_ASSIGN(const CompactionMarks marks, read_compaction_marks(*source));
  record.push_back(or_none("consistent_index", index));
  record.push_back(or_none("term", term));
  const auto json_or_text = [&](const char* name, const std::optional<base::Bytes>& value) {
    if (!value) return record.push_back({name, None{}});
    // As it stands, if it can stand in a line of JSON: what accept() took has no raw control characters but white space.
    const bool plain = std::all_of(value->begin(), value->end(), [](char c) { return c >= ' ' && c <= '~'; });
    if (plain && nlohmann::json::accept(*value)) return record.push_back({name, Json{*value}});
    record.push_back({name, Data{*value}});
  };
  const auto text_or_none = [&](const char* name, const std::optional<base::Bytes>& value) {
    record.push_back(field_if(value.has_value(), name, Data{value.value_or("")}));
  };
  json_or_text("conf_state", conf_state);
  text_or_none("storage_version", storage_version);
  text_or_none("cluster_version", cluster_version);
  json_or_text("downgrade", downgrade);
  record.push_back(field_if(marks.scheduled >= 0, "scheduled_compact_revision", marks.scheduled));
  record.push_back(field_if(marks.finished >= 0, "finished_compact_revision", marks.finished));

  source->show(context.progress, "counting rows");
  std::string counts = "{";
  std::int64_t newest = 1;
  std::uint64_t live_bytes = 0;
  base::Result<> unreadable;
  for (const Bucket bucket : backend::kBuckets) {
    std::uint64_t rows = 0;
    const auto scanned = source->scan(bucket, [&](const Row& row) -> base::Result<> {
      ++rows;
      live_bytes += row.key.size() + row.value.size() + 16;
      if (!row.intact) ++context.bad_checksums;
      if (const auto at = mvcc::decode_row_key(row.key); bucket == Bucket::kKey && at) newest = at->revision.main;
      return {};
    });
    // What cannot be read is left out, so that the rest is shown; the first reason is the answer.
    if (!scanned && unreadable) unreadable = scanned;
    counts += (counts.size() > 1 ? "," : "") + json_string(backend::bucket_name(bucket)) + ':' + std::to_string(rows);
  }
  record.push_back({"revision", std::max(newest, marks.in_force())});
  record.push_back({"rows", Json{counts + "}"}});
  if (facts.engine == Engine::kOwn) {
    record.push_back({"live_bytes", live_bytes});
    record.push_back(or_none("live_bytes_recorded", facts.live_bytes));
  }
  ETCDPP_ASSIGN(const auto foreign, source->foreign_buckets());
  if (!foreign.empty()) record.push_back({"foreign_buckets", DataList{foreign}});
  context.printer.print_list(record);
  if (!unreadable) return unreadable.error();
  return Exit::kFine;
}

}  // namespace etcdpp::mvccdump

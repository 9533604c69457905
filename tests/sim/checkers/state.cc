#include <fmt/format.h>

#include <algorithm>

#include <etcdpp/mvcc/range_reader.h>

#include "checkers.h"

namespace etcdpp::sim {

namespace {

void check_range(const mvcc::RangeReader& reader, const Model& model, std::int64_t at, const Report& report) {
  std::vector<mvcc::RangeRow> rows;
  const auto answer = reader.range(mvcc::KeyRange::all(), {.revision = at}, rows);
  if (!answer) return report(fmt::format("state: keys at {}: {}", at, answer.error().message()));
  const auto wanted = model.range("", std::string_view("\0", 1), at);
  if (answer->count != static_cast<std::int64_t>(wanted.size()) || rows.size() != wanted.size())
    report(fmt::format("state: {} keys at {} ({} counted), the model has {}", rows.size(), at, answer->count, wanted.size()));
  for (std::size_t i = 0; i < std::min(rows.size(), wanted.size()); ++i) {
    if (rows[i].key_value == wanted[i].SerializeAsString()) continue;
    mvccpb::KeyValue got;
    got.ParseFromArray(rows[i].key_value.data(), static_cast<int>(rows[i].key_value.size()));
    return report(fmt::format("state: at {} {} has mod {} create {} version {} lease {}, the model has {} with {} {} {} {}, or values differ", at,
                              got.key(), got.mod_revision(), got.create_revision(), got.version(), got.lease(), wanted[i].key(),
                              wanted[i].mod_revision(), wanted[i].create_revision(), wanted[i].version(), wanted[i].lease()));
  }
}

}  // namespace

void check_state(server::Member& member, const Replay& replay, const Report& report) {
  const Model& model = replay.model;
  const auto reader = mvcc::RangeReader::open(member.views());
  if (!reader) return report("state: " + reader.error().message());
  const mvcc::View& view = reader->view();
  if (view.revision != model.revision()) report(fmt::format("state: revision {}, the model is at {}", view.revision, model.revision()));
  if (view.compact_revision != model.compact_revision())
    report(fmt::format("state: compact revision {}, the model's is {}", view.compact_revision, model.compact_revision()));
  // Now, at the oldest revision that there is, and halfway.
  const std::int64_t oldest = std::max<std::int64_t>(model.compact_revision(), 1);
  for (const std::int64_t at : {model.revision(), oldest, (oldest + model.revision()) / 2}) check_range(*reader, model, at, report);

  const lease::Lessor& lessor = member.apply_loop().state().lessor;
  std::vector<lease::LeaseId> ids = lessor.leases();
  std::ranges::sort(ids);
  std::vector<lease::LeaseId> wanted;
  for (const auto& [id, lease] : model.leases()) wanted.push_back(id);
  if (ids != wanted) report(fmt::format("state: {} leases, the model has {}, or others", ids.size(), wanted.size()));
  for (const auto& [id, lease] : model.leases()) {
    const auto keys = lessor.keys(id);
    if (!std::ranges::equal(keys, lease.keys))
      report(fmt::format("state: lease {} holds {} keys, in the model {}, or others", id, keys.size(), lease.keys.size()));
  }
}

}  // namespace etcdpp::sim

#include <fmt/format.h>

#include "checkers.h"

namespace etcdpp::sim {

void check_acknowledged(const Replay& replay, const History& history, const Report& report) {
  for (const std::uint64_t id : replay.repeated) report(fmt::format("acknowledged: request {:x} stands in the log twice", id));
  for (std::size_t i = 0; i < history.writes.size(); ++i) {
    const Write& write = history.writes[i];
    if (!write.answered) continue;
    const auto found = replay.outcomes.find(write.id);
    if (found == replay.outcomes.end()) {
      report(fmt::format("acknowledged: write {} (field {}) was answered and is not in the log", i, static_cast<int>(write.field)));
      continue;
    }
    const Model::Outcome& wanted = found->second;
    if (write.error != wanted.error) {
      report(fmt::format("acknowledged: write {} was answered \"{}\", the model says \"{}\"", i,
                         write.error ? write.error.message() : "ok", wanted.error ? wanted.error.message() : "ok"));
      continue;
    }
    if (write.response != wanted.response)
      report(fmt::format("acknowledged: write {} (field {}) was answered {}, the model says {}", i, static_cast<int>(write.field),
                         base::hex(write.response), base::hex(wanted.response)));
    if (write.field != server::RequestField::kPut || write.error) continue;
    etcdserverpb::PutResponse put;
    put.ParseFromString(write.response);
    if (put.header().revision() <= write.acknowledged_before)
      report(fmt::format("acknowledged: put {} has revision {}; {} had been seen before it was asked for", i,
                         put.header().revision(), write.acknowledged_before));
  }
  if (replay.model.revision() < history.highest_revision)
    report(fmt::format("acknowledged: revision {} had been seen, the log leads to {}", history.highest_revision, replay.model.revision()));
}

}  // namespace etcdpp::sim

#include <fmt/format.h>

#include "checkers.h"

namespace etcdpp::sim {

void check_log(const DurableLog& log, const History& history, const Report& report) {
  if (log.entries().size() < history.applied_index)
    report(fmt::format("log: index {} had been applied, the log ends at {}", history.applied_index, log.entries().size()));
  if (log.changed_at() != 0 && log.changed_at() <= history.applied_index)
    report(fmt::format("log: entry {} has changed although index {} had been applied", log.changed_at(), history.applied_index));
}

}  // namespace etcdpp::sim

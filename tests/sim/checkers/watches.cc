#include <fmt/format.h>

#include <algorithm>

#include "checkers.h"

namespace etcdpp::sim {

namespace {

void check_watch(std::size_t number, const Watch& watch, const Model& model, const Report& report) {
  if (watch.first == 0) return;  // never created
  // Everything below `next` was sent, and nothing else.
  std::vector<mvccpb::Event> wanted = model.events(watch.key, watch.range_end, watch.first, watch.next);
  std::erase_if(wanted, [&](const mvccpb::Event& event) { return event.type() == mvccpb::Event::DELETE ? watch.no_delete : watch.no_put; });
  const std::vector<mvccpb::Event>& got = watch.events;
  for (std::size_t i = 0; i < std::max(wanted.size(), got.size()); ++i) {
    if (i == got.size())
      return report(fmt::format("watch {}: the event of {} at {} was not sent, though everything below {} was", number, wanted[i].kv().key(),
                                wanted[i].kv().mod_revision(), watch.next));
    if (i == wanted.size() || got[i].kv().SerializeAsString() != wanted[i].kv().SerializeAsString() || got[i].type() != wanted[i].type())
      return report(fmt::format("watch {}: got {} at {}, wanted {} at {}, or values differ", number, got[i].kv().key(), got[i].kv().mod_revision(),
                                i == wanted.size() ? "nothing" : wanted[i].kv().key(), i == wanted.size() ? 0 : wanted[i].kv().mod_revision()));
    const bool creates = got[i].type() == mvccpb::Event::PUT && got[i].kv().create_revision() == got[i].kv().mod_revision();
    if (got[i].has_prev_kv()) {
      if (!watch.prev_kv || creates || got[i].prev_kv().SerializeAsString() != wanted[i].prev_kv().SerializeAsString())
        return report(fmt::format("watch {}: prev_kv of {} at {} is not what it was", number, got[i].kv().key(), got[i].kv().mod_revision()));
    } else if (watch.prev_kv && !creates && wanted[i].has_prev_kv() && got[i].kv().mod_revision() - 1 >= model.compact_revision()) {
      return report(fmt::format("watch {}: no prev_kv of {} at {}, which is not compacted", number, got[i].kv().key(), got[i].kv().mod_revision()));
    }
  }
  if (watch.compacted != 0 && (watch.next >= watch.compacted || watch.compacted > model.compact_revision()))
    report(fmt::format("watch {}: canceled by a compaction at {} when it wanted {}; the store's is {}", number, watch.compacted, watch.next,
                       model.compact_revision()));
}

}  // namespace

void check_watches(const Replay& replay, const History& history, const Report& report) {
  for (const std::string& fault : history.watch_faults) report(fault);
  for (std::size_t i = 0; i < history.watches.size(); ++i) check_watch(i, history.watches[i], replay.model, report);
}

}  // namespace etcdpp::sim

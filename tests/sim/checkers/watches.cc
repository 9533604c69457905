#include <fmt/format.h>

#include <algorithm>

#include <etcdpp/base/crc32c.h>

#include "checkers.h"

namespace etcdpp::sim {

namespace {

std::string described(const mvccpb::Event& event) {
  const mvccpb::KeyValue& kv = event.kv();
  return fmt::format("{} {} at {} (create {}, version {}, lease {}, value of {} bytes, checksum {:08x})",
                     event.type() == mvccpb::Event::DELETE ? "delete" : "put", kv.key(), kv.mod_revision(), kv.create_revision(), kv.version(), kv.lease(),
                     kv.value().size(), base::crc32c(0, kv.value()));
}

// Of a revision that the store was compacted to, what the same revision did to the key before is gone, as in etcd.
bool may_be_gone(const std::vector<mvccpb::Event>& events, std::size_t which, const Model& model) {
  const mvccpb::KeyValue& kv = events[which].kv();
  const auto is_later_of_both = [&](const mvccpb::Event& later) { return later.kv().mod_revision() == kv.mod_revision() && later.kv().key() == kv.key(); };
  return model.compacted_to(kv.mod_revision()) && std::any_of(events.begin() + static_cast<std::ptrdiff_t>(which) + 1, events.end(), is_later_of_both);
}

bool same(const mvccpb::Event& a, const mvccpb::Event& b) {
  return a.type() == b.type() && a.kv().SerializeAsString() == b.kv().SerializeAsString();
}

void check_watch(std::size_t number, const Watch& watch, const Model& model, const Report& report) {
  if (watch.first == 0) return;  // never created
  // Everything below `next` was sent, and nothing else.
  std::vector<mvccpb::Event> wanted = model.events(watch.key, watch.range_end, watch.first, watch.next);
  std::erase_if(wanted, [&](const mvccpb::Event& event) { return event.type() == mvccpb::Event::DELETE ? watch.no_delete : watch.no_put; });
  const std::vector<mvccpb::Event>& got = watch.events;
  for (std::size_t i = 0; i < std::max(wanted.size(), got.size()); ++i) {
    while (i < wanted.size() && may_be_gone(wanted, i, model) && (i == got.size() || !same(got[i], wanted[i])))
      wanted.erase(wanted.begin() + static_cast<std::ptrdiff_t>(i));
    if (i >= std::max(wanted.size(), got.size())) break;
    if (i == got.size())
      return report(fmt::format("watch {}: the event of {} at {} was not sent, though everything below {} was", number, wanted[i].kv().key(),
                                wanted[i].kv().mod_revision(), watch.next));
    if (i == wanted.size() || !same(got[i], wanted[i]))
      return report(fmt::format("watch {}: got {}, wanted {}", number, described(got[i]), i == wanted.size() ? "nothing" : described(wanted[i])));
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

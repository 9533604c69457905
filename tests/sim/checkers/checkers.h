#pragma once

#include <functional>
#include <string>

#include <member.h>

#include "../durable_log.h"
#include "../history.h"
#include "../replay.h"

namespace etcdpp::sim {

/// Where a checker says what it found; each line stands alone.
using Report = std::function<void(std::string)>;

/// Each is asked after every recovery and at the end, when no client waits. `replay` is the log up to what the member has
/// applied. A file each.

/// Applied means synced here: no crash takes or changes an entry that was applied.
void check_log(const DurableLog& log, const History& history, const Report& report);
/// Every write that was answered is in the log once, and was answered with what the model says; it moved the revision past
/// every revision that anybody had seen before.
void check_acknowledged(const Replay& replay, const History& history, const Report& report);
/// Every read was answered from one state of the model, not older than what had been answered before it began.
void check_reads(const Replay& replay, const History& history, const Report& report);
/// Every watcher got each event of its range once, in order, a revision whole, and none at or below a revision that progress
/// had been told of; or one cancel by a compaction that it was behind.
void check_watches(const Replay& replay, const History& history, const Report& report);
/// Every HashKV that was given and every compaction hash that is kept is the model's.
void check_hashes(server::Member& member, const Replay& replay, const History& history, const Report& report);
/// Keys, history, revisions, leases and what hangs on them are the model's.
void check_state(server::Member& member, const Replay& replay, const Report& report);
/// Rows of the small buckets that every member has, once anything was committed.
void check_buckets(server::Member& member, const Report& report);

/// A lease ends by itself only when the time that was promised has passed.
void check_lease_end(const LeaseEnd& end, const History& history, const Report& report);

}  // namespace etcdpp::sim

#include "metrics_page.h"

#include <algorithm>

#include <etcdpp/base/bytes.h>

#include "../member.h"
#include "../rpc/watch_service.h"
#include "process_stats.h"

namespace etcdpp::server {

namespace {

// Families that etcd's dashboards may ask for and that cannot be anything but zero here: this is no proxy, it has no store of
// version 2, and keeps no events for watchers that lag.
constexpr std::string_view kZeroCounters[] = {
    "etcd_debugging_store_expires_total", "etcd_debugging_store_watch_requests_total", "etcd_grpc_proxy_events_coalescing_total"};
constexpr std::string_view kZeroGauges[] = {
    "etcd_debugging_mvcc_pending_events_total", "etcd_debugging_store_watchers",     "etcd_grpc_proxy_cache_hits_total",
    "etcd_grpc_proxy_cache_keys_total",         "etcd_grpc_proxy_cache_misses_total", "etcd_grpc_proxy_watchers_coalescing_total"};

template <typename T>
double number(const T& n) {
  return static_cast<double>(n);
}

}  // namespace

std::string MetricsPage::text() const {
  Families families;
  collect_server(families);
  collect_disk(families);
  collect_store(families);
  collect_leases(families);
  grpc_.collect(families, member_.config().metrics == "extensive");
  versions_.collect(families);
  collect_process(families);
  for (const std::string_view name : kZeroCounters) families.counter(name, "Always 0 in this server.", 0);
  for (const std::string_view name : kZeroGauges) families.gauge(name, "Always 0 in this server.", 0);
  return std::move(families).text();
}

void MetricsPage::collect_server(Families& families) const {
  const MemberState& state = member_.state();
  const MemberMetrics& metrics = member_.metrics();
  const auto facts = member_.facts();
  const MemberRecord* self = facts->membership.find(state.member_id);
  families.gauge("etcd_server_has_leader", "1 while this member knows a leader.", state.has_leader());
  families.gauge("etcd_server_is_leader", "1 while this member leads.", state.is_leader());
  families.gauge("etcd_server_is_learner", "1 while this member has no vote.", self && self->is_learner);
  families.counter("etcd_server_leader_changes_seen_total", "Leaders seen coming.", number(state.leader_changes.load()));
  families.gauge("etcd_server_proposals_applied_total", "Index of the last entry applied.", number(state.applied.load()));
  families.gauge("etcd_server_proposals_committed_total", "Index of the last entry known to be committed.",
                 number(state.committed.load()));
  families.gauge("etcd_server_proposals_pending", "Proposals whose outcome is not known yet.", number(member_.pending_proposals()));
  families.counter("etcd_server_proposals_failed_total", "Proposals refused, or not decided in time.",
                   number(state.proposals_failed.load()));
  families.gauge("etcd_server_quota_backend_bytes", "Bytes that the database may have.", number(member_.config().quota_backend_bytes < 0 ? member_.config().quota_backend_bytes
                                                               : static_cast<std::int64_t>(member_.quota().limit_bytes())));
  families.gauge("etcd_server_version", "1, under the version that this server speaks.", 1,
                 {{"server_version", std::string(config::kEtcdVersion)}});
  families.gauge("etcd_server_id", "1, under this member's id.", 1, {{"server_id", base::hex(state.member_id)}});
  metrics.applies.collect(families, "etcd_server_apply_duration_seconds", "Time to apply one entry.", "op", {{"version", "v3"}});
  metrics.requests.collect(families, "etcd_server_request_duration_seconds", "Time of whole requests.", "type");
  metrics.range_reads.collect(families, "etcd_server_range_duration_seconds", "Time to read a range, up to the first byte of its answer.", {});
  families.counter("etcd_server_slow_apply_total", "Entries that took longer to apply than --warning-apply-duration.",
                   number(metrics.slow_applies.value()));
  families.counter("etcd_server_slow_read_indexes_total", "Rounds of ReadIndex that had to be asked again.",
                   number(member_.read_indexer().slow_rounds()));
  families.counter("etcd_server_read_indexes_failed_total", "Linearizable reads that were not confirmed.",
                   number(member_.read_indexer().failed_reads()));
  const config::FeatureGates& gates = member_.config().feature_gates;
  const auto gate = [&](const char* name, const char* stage, bool on) {
    families.gauge("etcd_server_feature_enabled", "1 for each feature gate that is open.", on, {{"name", name}, {"stage", stage}});
  };
  gate("CompactHashCheck", "ALPHA", gates.compact_hash_check);
  gate("FastLeaseKeepAlive", "BETA", gates.fast_lease_keep_alive);
  gate("InitialCorruptCheck", "ALPHA", gates.initial_corrupt_check);
  gate("LeaseCheckpoint", "ALPHA", gates.lease_checkpoint);
  gate("LeaseCheckpointPersist", "ALPHA", gates.lease_checkpoint_persist);
  gate("PriorityRequest", "ALPHA", gates.priority_request);
  gate("SetMemberLocalAddr", "ALPHA", gates.set_member_local_addr);
  gate("StopGRPCServiceOnDefrag", "ALPHA", gates.stop_grpc_service_on_defrag);
  gate("TxnModeWriteWithSharedBuffer", "BETA", gates.txn_mode_write_with_shared_buffer);
  if (const std::string& version = facts->membership.cluster_version(); !version.empty())
    families.gauge("etcd_cluster_version", "1, under the version of the cluster.", 1,
                   {{"cluster_version", version.substr(0, version.rfind('.'))}});
  for (const Alarm& alarm : facts->alarms.active())
    families.gauge("etcd_debugging_server_alarms", "1 for each alarm that is on.", 1,
                   {{"alarm_type", std::string(alarm_name(alarm.kind))}, {"server_id", base::hex(alarm.member_id)}});
  families.counter("etcd_server_health_success", "Answers of /health: healthy.", number(metrics.health_successes.value()));
  families.counter("etcd_server_health_failures", "Answers of /health: not healthy.", number(metrics.health_failures.value()));
  metrics.health_checks.collect(families);
}

void MetricsPage::collect_disk(Families& families) const {
  const MemberMetrics& metrics = member_.metrics();
  families.histogram("etcd_disk_wal_fsync_duration_seconds", "Time of one fdatasync of the write-ahead log.", metrics.wal_sync);
  families.gauge("etcd_disk_wal_write_bytes_total", "Bytes written to the write-ahead log.", number(metrics.wal_bytes.value()));
  families.histogram("etcd_disk_backend_commit_duration_seconds", "Time of one commit of the database.", metrics.backend_commit);
  families.histogram("etcd_disk_backend_defrag_duration_seconds", "Time of one defragmentation.", metrics.defragmentation);
  families.histogram("etcd_debugging_snap_save_total_duration_seconds", "Time to write one .snap file.", metrics.snapshot_save);
  families.gauge("etcd_disk_defrag_inflight", "1 while the database is being defragmented.", metrics.defragmenting.load() != 0);
}

void MetricsPage::collect_store(Families& families) const {
  const MemberMetrics& metrics = member_.metrics();
  const backend::Sizes sizes = member_.backend().sizes();
  families.gauge("etcd_mvcc_db_total_size_in_bytes", "Bytes that the database has allocated.",
                 number(std::max(sizes.allocated, sizes.quota)));
  families.gauge("etcd_mvcc_db_total_size_in_use_in_bytes", "Bytes of the rows in the database.", number(sizes.quota));
  families.counter("etcd_mvcc_range_total", "Ranges read.", number(metrics.ranges.value()));
  families.counter("etcd_mvcc_put_total", "Puts.", number(metrics.puts.value()));
  families.counter("etcd_mvcc_delete_total", "Deletions of a key or range.", number(metrics.deletes.value()));
  families.counter("etcd_mvcc_txn_total", "Transactions of more than one operation.", number(metrics.txns.value()));
  families.gauge("etcd_debugging_mvcc_total_put_size_in_bytes", "Bytes of keys and values put.", number(metrics.put_bytes.value()));

  const mvcc::ViewRef view = member_.views().current();
  families.gauge("etcd_debugging_mvcc_keys_total", "Keys that exist.",
                 number(view->index.count(mvcc::KeyRange::all(), view->revision)));
  families.gauge("etcd_debugging_mvcc_current_revision", "Revision of the newest change.", number(view->revision));
  families.gauge("etcd_debugging_mvcc_compact_revision", "Revision of the last compaction; -1 before the first.",
                 number(view->compact_revision));
  families.counter("etcd_debugging_mvcc_db_compaction_keys_total", "Rows removed by compactions.",
                   number(metrics.compacted_rows.value()));
  families.gauge("etcd_debugging_mvcc_db_compaction_last", "When a compaction was last complete, in seconds since 1970; 0: not since the start.",
                 number(metrics.last_compaction_seconds.load()));

  families.histogram("etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds",
                     "Time of one commit with deletions of a compaction.", metrics.compaction_pause);
  families.histogram("etcd_debugging_mvcc_db_compaction_total_duration_milliseconds",
                     "Time from the application of a compaction to its last deletion.", metrics.compaction_total);
  families.histogram("etcd_debugging_mvcc_index_compaction_pause_duration_milliseconds",
                     "Time of one slice of a compaction's pass over the index.", metrics.index_compaction_pause);
  families.histogram("etcd_disk_backend_snapshot_duration_seconds", "Time of a snapshot of the database sent to a client.",
                     metrics.database_snapshot);
  families.histogram("etcd_mvcc_hash_duration_seconds", "Time of a hash of all buckets.", metrics.hash);
  families.histogram("etcd_mvcc_hash_rev_duration_seconds", "Time of a hash of the keys at a revision.", metrics.hash_kv);

  const WatchStats watch = watch_.stats();
  families.gauge("etcd_debugging_mvcc_watch_stream_total", "Open watch streams.", number(watch.streams));
  families.gauge("etcd_debugging_mvcc_watcher_total", "Watchers.", number(watch.watchers));
  families.gauge("etcd_debugging_mvcc_slow_watcher_total", "Watchers that are behind.", number(watch.lagging));
  families.counter("etcd_debugging_mvcc_events_total", "Events sent to watchers.", number(watch.events_sent));
  families.histogram("etcd_debugging_server_watch_send_loop_watch_stream_duration_seconds", "Time of one delivery to the watchers of a thread.",
                     metrics.watch_batch);
  families.histogram("etcd_debugging_server_watch_send_loop_watch_stream_duration_per_event_seconds", "The same, divided by its events.",
                     metrics.watch_event);
  families.histogram("etcd_debugging_server_watch_send_loop_control_stream_duration_seconds", "Time to answer a create, cancel or progress request.",
                     metrics.watch_control);
  families.histogram("etcd_debugging_server_watch_send_loop_progress_duration_seconds", "Time to send the progress notifications that are due.",
                     metrics.watch_progress);
}

void MetricsPage::collect_leases(Families& families) const {
  const MemberMetrics& metrics = member_.metrics();
  families.counter("etcd_debugging_lease_granted_total", "Leases granted.", number(metrics.leases_granted.value()));
  families.counter("etcd_debugging_lease_renewed_total", "Leases renewed by this member as leader.", number(metrics.leases_renewed.value()));
  families.counter("etcd_debugging_lease_revoked_total", "Leases revoked.", number(metrics.leases_revoked.value()));
  families.counter("etcd_debugging_server_lease_expired_total", "Leases that ran out under this leader.",
                   number(metrics.leases_expired.value()));
  families.histogram("etcd_debugging_lease_ttl_total", "Times to live of granted leases, in seconds.", metrics.lease_ttl);
}

void MetricsPage::collect_process(Families& families) const {
  const ProcessStats stats = ProcessStats::read();
  families.gauge("os_fd_used", "File descriptors in use.", number(stats.open_fds));
  families.gauge("os_fd_limit", "File descriptors that may be in use.", stats.fd_limit);
  families.gauge("process_open_fds", "File descriptors in use.", number(stats.open_fds));
  families.gauge("process_max_fds", "File descriptors that may be in use.", stats.fd_limit);
  families.counter("process_cpu_seconds_total", "CPU time, user and system.", stats.cpu_seconds);
  families.gauge("process_start_time_seconds", "When the process started, in seconds since 1970.", stats.start_time_seconds);
  families.gauge("process_resident_memory_bytes", "Memory in RAM.", number(stats.resident_bytes));
  families.gauge("process_virtual_memory_bytes", "Address space in use.", number(stats.virtual_bytes));
  families.gauge("process_virtual_memory_max_bytes", "Address space that may be in use.", stats.virtual_limit_bytes);
  families.counter("process_network_receive_bytes_total", "Bytes received by IP, of all processes here.", number(stats.received_bytes));
  families.counter("process_network_transmit_bytes_total", "Bytes sent by IP, of all processes here.", number(stats.sent_bytes));
}

}  // namespace etcdpp::server

#include "member.h"

#include <algorithm>

#include <fmt/format.h>

#include <etcdpp/base/human_bytes.h>
#include <etcdpp/config/zap_logger.h>
#include <etcdpp/wal/snapshot_file.h>

#include "errc.h"
#include "request_codec.h"

namespace etcdpp::server {

namespace {

/// What may wait in raft's inbox, and with it all proposals that have no leader yet.
constexpr std::size_t kInboxBytes = 128u << 20;
/// As etcd: entries behind the applied index after which the log in memory is cut.
constexpr std::uint64_t kMemorySnapshotEntries = 100;
constexpr std::string_view kClusterVersion = "3.7.0";
/// As etcd: how long a lease call waits for what is committed to be applied.
constexpr base::Duration kApplyWait = std::chrono::seconds(1);

raft::Config raft_config(const config::Config& c, std::uint64_t id, raft::MemoryStorage& storage, base::Logger& logger,
                         std::uint64_t seed, std::uint64_t consistent_index) {
  raft::Config config;
  // What the database has need not be handed out again; the log's commit index may be older than it (a crash forgets it).
  if (consistent_index >= storage.first_index()) config.applied = std::min(consistent_index, storage.hard_state().commit);
  config.id = id;
  config.storage = &storage;
  config.logger = &logger;
  config.seed = seed;
  config.election_ticks = c.election_ticks();
  config.heartbeat_ticks = 1;
  config.async_storage_writes = true;
  config.pre_vote = c.pre_vote;
  config.log_stale_acknowledgements = false;
  return config;
}

}  // namespace

Member::Member(Options options, std::unique_ptr<MemberMetrics> metrics)
    : options_(std::move(options)),
      metrics_(std::move(metrics)),
      failure_(options_.logger, options_.on_failure),
      quota_(options_.config.effective_quota_bytes()),
      executor_(options_.clock) {}

Member::~Member() = default;

base::Result<std::unique_ptr<Member>> Member::open(Options options) {
  BootstrapOptions boot_options{options.config, options.env, options.clock, options.logger, {}};
  boot_options.wal.segment_size = options.wal_segment_size;
  boot_options.wal.unsafe_no_fsync = options.config.unsafe_no_fsync;
  boot_options.wal.logger = &options.logger;
  boot_options.wal.clock = &options.clock;
  boot_options.threads = options.threads;
  auto metrics = std::make_unique<MemberMetrics>();
  boot_options.wal.on_sync = [&m = *metrics](base::Duration took) { m.wal_sync.observe(took); };
  boot_options.wal.on_write = [&m = *metrics](std::size_t bytes) { m.wal_bytes.add(bytes); };
  ETCDPP_ASSIGN(Bootstrapped boot, bootstrap(boot_options));
  std::unique_ptr<Member> member(new Member(std::move(options), std::move(metrics)));
  ETCDPP_TRY(member->assemble(std::move(boot)));
  return member;
}

base::Result<> Member::assemble(Bootstrapped boot) {
  boot_ = std::move(boot);
  const config::Config& config = options_.config;
  state_.member_id = boot_.member_id;
  state_.cluster_id = boot_.cluster_id;
  ids_ = std::make_unique<RequestIdGenerator>(boot_.member_id, options_.clock.wall_milliseconds());
  read_indexer_ = std::make_unique<ReadIndexer>(*ids_, options_.clock,
                                                [this](base::SharedBytes c) { return raft_loop_->start_read_index(std::move(c)); },
                                                options_.logger);

  // The store's own state first, in etcd's order: leases before keys, which hang on them.
  backend::Backend& backend = *boot_.backend;
  membership_rows_ = std::make_unique<BackendMembershipRows>(backend);
  lease_rows_ = std::make_unique<BackendLeaseRows>(backend);
  lease::LessorOptions lessor_options;
  lessor_options.heartbeat_interval = config.heartbeat_interval;
  lessor_options.election_ticks = config.election_ticks();
  lessor_options.recheck_interval = config.request_timeout();
  lessor_options.checkpoint = config.feature_gates.lease_checkpoint;
  lessor_ = std::make_unique<lease::Lessor>(lessor_options, *lease_rows_);
  ETCDPP_TRY(backend.scan_bucket(backend::Bucket::kLease, [this](base::BytesView key, base::BytesView value) -> base::Result<> {
    return lessor_->restore_row(key, value);
  }));
  lessor_attach_ = std::make_unique<LessorAttach>(*lessor_);
  event_log_ = std::make_unique<mvcc::EventLog>(1, options_.event_log);
  store_ = std::make_unique<mvcc::Store>(backend, lessor_attach_.get(), event_log_.get());
  const std::uint64_t applied = backend.opened().consistent_index;
  ETCDPP_ASSIGN(const mvcc::Store::Restored restored, store_->restore(applied, std::move(*boot_.keys)));
  boot_.keys.reset();
  if (restored.missing_leases != 0)
    options_.logger.error("keys hang on leases that do not exist; they will not expire", {{"keys", restored.missing_leases}});
  event_log_->reset(store_->revision());
  options_.logger.info("kvstore restored", {{"current-rev", store_->revision()}});
  log_quota(options_.logger, config.quota_backend_bytes, quota_);
  backend.commit_loop().set_deletion_source(&store_->compaction());
  backend.commit_loop().set_listener({
      .on_commit =
          [this](const backend::Commit& commit) {
            committed(commit);
            options_.wake_core();
          },
      .on_space =
          [this](bool has_space) {
            if (has_space) return;
            options_.logger.error("database cannot grow: disk full", {{"path", boot_.backend->database()->path()}});
            raise_no_space([] {});
            options_.wake_core();
          },
      .on_generation =
          [this](std::uint64_t) {
            apply_loop_->post([](ApplyLoop& loop) { loop.publish_due(); });
            options_.wake_core();
          },
  });
  seen_compaction_ = store_->compaction().finished_revision();
  // With the first entry, also when the first life of the member ended before its first commit.
  if (applied == 0) put_fresh_auth_revision(backend);

  raft_logger_ = std::make_unique<config::NamedLogger>(options_.logger, "raft");
  ETCDPP_ASSIGN(raft::RawNode raw, raft::RawNode::create(raft_config(config, boot_.member_id, *boot_.raft_storage, *raft_logger_, options_.seed, applied)));
  if (!boot_.bootstrap_peers.empty()) ETCDPP_TRY(raw.bootstrap(boot_.bootstrap_peers));

  RaftLoop::Ports raft_ports{*this, waiters_, *read_indexer_, state_, failure_, options_.logger, options_.clock,
                             [this] { apply_loop_->post([this](ApplyLoop&) { primary_lessor_->demote(); }); }};
  raft_loop_ = std::make_unique<RaftLoop>(std::move(raw), std::move(boot_.raft_storage), kInboxBytes, std::move(raft_ports));
  proposer_ = std::make_unique<Proposer>(*raft_loop_, waiters_, *ids_, state_, options_.clock,
                                         Proposer::Limits{config.max_request_bytes, config.request_timeout(), config.heartbeat_interval,
                                                          config.feature_gates.priority_request});

  ApplyState apply_state{*store_, *lessor_, backend, boot_.rows.membership, *membership_rows_, boot_.rows.alarms, quota_,
                         options_.clock, options_.logger, *metrics_, boot_.member_id, static_cast<std::size_t>(config.max_learners),
                         config.feature_gates.lease_checkpoint_persist, config.warning_apply_duration};
  ApplyLoop::Ports apply_ports{
      .raft = *raft_loop_,
      .waiters = waiters_,
      .read_indexer = *read_indexer_,
      .failure = failure_,
      .member = state_,
      .on_published = [this] { event_log_->publish(store_->revision()); },
      .on_leader_entry = [this](std::uint64_t term) { led_first_entry(term); },
      .on_lease_revoked = [this](lease::LeaseId id) { primary_lessor_->revoked(id); },
      .raise_no_space = [this](std::move_only_function<void()> then) { raise_no_space(std::move(then)); },
      .wake_commit = options_.wake_commit,
  };
  apply_loop_ = std::make_unique<ApplyLoop>(std::move(apply_state), boot_.rows.storage_version, std::move(apply_ports));
  apply_loop_->set_conf_state(boot_.conf_state);
  executor_.connect(*apply_loop_);
  wal_loop_ = std::make_unique<WalLoop>(std::move(boot_.log), *raft_loop_, options_.clock);
  raft_loop_->connect(*wal_loop_, *apply_loop_);
  assemble_primary_lessor();
  backend.commit_loop().set_copy_pace({.log_is_slow = [this, quickest = base::Duration::max()]() mutable {
    const base::Duration now = wal_loop_->recent_sync();
    quickest = std::min(quickest, now);
    return now > 2 * quickest;
  }});

  ETCDPP_ASSIGN(const base::Duration retention, config.parsed_auto_compaction_retention());
  if (retention > base::Duration{}) {
    const auto mode = config.auto_compaction_mode == "revision" ? AutoCompactor::Mode::kRevision : AutoCompactor::Mode::kPeriodic;
    auto_compactor_ = std::make_unique<AutoCompactor>(mode, retention, options_.clock.now(), store_->revision(), options_.logger);
  }

  state_.applied = applied;
  watched_index_ = applied;
  disk_snapshot_index_ = memory_snapshot_index_ = boot_.snapshot_index;
  options_.logger.info("starting etcd server",
                       {{"local-member-id", base::hex(boot_.member_id)},
                        {"local-server-version", config::kEtcdVersion},
                        {"cluster-id", base::hex(boot_.cluster_id)},
                        {"cluster-version", boot_.rows.membership.cluster_version().empty()
                                                ? std::string("to_be_decided")
                                                : boot_.rows.membership.cluster_version()}});
  return {};
}

void Member::assemble_primary_lessor() {
  const config::Config& config = options_.config;
  PrimaryLessor::Ports ports{
      .lessor = *lessor_,
      .member = state_,
      .clock = options_.clock,
      .logger = options_.logger,
      .metrics = *metrics_,
      .propose =
          [this](std::uint64_t term, RequestField field, std::string_view request, PrimaryLessor::Proposed done) {
            proposer_->propose_as_leader(term, field, request, std::move(done), executor_);
          },
      .confirm_leadership =
          [this](std::move_only_function<void(base::Result<>)> done) {
            read_indexer_->request(std::move(done), executor_, options_.clock.now() + options_.config.request_timeout());
          },
      .when_applied =
          [this](std::move_only_function<void(base::Result<>)> then) {
            apply_loop_->when_applied(state_.committed.load(std::memory_order_acquire), options_.clock.now() + kApplyWait, std::move(then));
          },
  };
  primary_lessor_ = std::make_unique<PrimaryLessor>(
      std::move(ports), PrimaryLessor::Options{config.election_timeout, config.request_timeout(), config.feature_gates.fast_lease_keep_alive});
}

bool Member::step_core() {
  if (failure_.failed()) return false;
  bool did = raft_loop_->step();
  did |= apply_loop_->step();
  snapshot_if_due();
  return did;
}

void Member::send(std::vector<raft::Message>) {
  // A single member has nobody to write to; raft makes such messages only for peers of its configuration.
}

void Member::tick() {
  raft_loop_->tick();
  apply_loop_->post([this](ApplyLoop& loop) { expire(loop); });
}

void Member::expire(ApplyLoop& loop) {
  const base::Instant now = options_.clock.now();
  for (Waiter& waiter : waiters_.take_expired(now)) {
    state_.proposals_failed.fetch_add(1, std::memory_order_relaxed);
    const base::Error why = proposer_->timeout_error(waiter.deadline - options_.config.request_timeout());
    loop.answers().answer(std::move(waiter), why);
  }
  loop.end_late_waits(now);
  primary_lessor_->tick();
  compact_history();
  watch_commits(loop);
}

void Member::compact_history() {
  if (!auto_compactor_) return;
  const auto revision = auto_compactor_->step(options_.clock.now(), store_->revision(), state_.is_leader());
  if (!revision) return;
  etcdserverpb::CompactionRequest request;
  request.set_revision(*revision);
  proposer_->propose(
      RequestField::kCompaction, request.SerializeAsString(),
      [this](base::Result<ResponseMessage> applied) {
        auto_compactor_->finished(options_.clock.now(), store_->revision(), applied ? base::Result<>() : applied.error());
      },
      executor_);
}

void Member::watch_commits(ApplyLoop& loop) {
  const base::Instant now = options_.clock.now();
  if (boot_.backend->committed_index() >= watched_index_) {
    watched_index_ = loop.applied_index();
    watched_since_ = now;
  }
  uncommitted_for_.store((now - watched_since_).count(), std::memory_order_relaxed);
}

void Member::stop() {
  raft_loop_->stop();
  apply_loop_->post([this](ApplyLoop& loop) {
    for (Waiter& waiter : waiters_.take_all()) loop.answers().answer(std::move(waiter), base::Error(Errc::kStopped));
    read_indexer_->fail_all(base::Error(Errc::kStopped), loop.answers());
  });
}

void Member::close() {
  const auto done = [this](const auto& result, std::string_view what) {
    if (!result) failure_.report(what, result.error());
    return result.has_value();
  };
  while (!failure_.failed()) {
    bool did = step_core();
    const auto logged = wal_loop_->step();
    if (!done(logged, "write-ahead log failed")) return;
    did |= *logged;
    did |= boot_.backend->freeze();
    const auto committed = commit_loop().step();
    if (!done(committed, "database commit failed")) return;
    if (!did && !*committed) break;
  }
  if (!failure_.failed()) done(wal_loop_->log().close(), "write-ahead log failed");
}

void Member::led_first_entry(std::uint64_t term) {
  primary_lessor_->promote(term);
  if (!state_.published) publish_attributes();
  if (boot_.rows.membership.cluster_version() != kClusterVersion) {
    propose_cluster_version();
  } else if (apply_loop_->storage_version() != kClusterVersion) {
    // Taken over from an etcd that was stopped before its storage had followed its cluster.
    apply_loop_->set_storage_version(std::string(kClusterVersion));
  }
}

void Member::publish_attributes() {
  membershippb::ClusterMemberAttrSetRequest request;
  request.set_member_id(state_.member_id);
  request.mutable_member_attributes()->set_name(options_.config.name);
  std::vector<std::string> urls;
  for (const config::Url& url : options_.config.advertise_client_urls) urls.push_back(url.text());
  for (const std::string& url : urls) request.mutable_member_attributes()->add_client_urls(url);
  proposer_->propose(
      RequestField::kClusterMemberAttrSet, request.SerializeAsString(),
      [this, urls](base::Result<ResponseMessage> applied) {
        if (!applied) {
          options_.logger.warn("failed to publish local member to cluster through raft", {{"error", applied.error().message()}});
          // Not from here: what does not fit into raft's inbox is refused inside of the call.
          if (applied.error().code != Errc::kStopped) executor_.post([this] { publish_attributes(); });
          return;
        }
        options_.logger.info("published local member to cluster through raft",
                             {{"local-member-id", base::hex(state_.member_id)},
                              {"local-member-attributes", fmt::format("{{Name:{} ClientURLs:[{}]}}", options_.config.name, fmt::join(urls, " "))},
                              {"cluster-id", base::hex(state_.cluster_id)},
                              {"publish-timeout", config::go_duration(options_.config.request_timeout())}});
        if (!state_.published.exchange(true) && options_.on_ready) options_.on_ready();
      },
      executor_);
}

void Member::propose_cluster_version() {
  const std::string& before = boot_.rows.membership.cluster_version();
  if (before.empty()) options_.logger.info("setting up initial cluster version using v3 API", {{"cluster-version", "3.7"}});
  else options_.logger.info("updating cluster version using v3 API", {{"from", before.substr(0, before.rfind('.'))}, {"to", "3.7"}});
  membershippb::ClusterVersionSetRequest request;
  request.set_ver(std::string(kClusterVersion));
  proposer_->propose(
      RequestField::kClusterVersionSet, request.SerializeAsString(),
      [this](base::Result<ResponseMessage> applied) {
        if (!applied && applied.error().code != Errc::kStopped) executor_.post([this] { propose_cluster_version(); });
      },
      executor_);
}

void Member::raise_no_space(std::move_only_function<void()> then) {
  etcdserverpb::AlarmRequest request;
  request.set_action(etcdserverpb::AlarmRequest::ACTIVATE);
  request.set_alarm(etcdserverpb::NOSPACE);
  request.set_memberid(state_.member_id);
  proposer_->propose(
      RequestField::kAlarm, request.SerializeAsString(),
      [then = std::move(then)](base::Result<ResponseMessage>) mutable { then(); }, executor_);
}

void Member::committed(const backend::Commit& commit) {
  metrics_->backend_commit.observe(commit.duration);
  metrics_->compacted_rows.add(commit.deleted_rows);
  if (commit.deleted_rows != 0) metrics_->compaction_pause.observe(milliseconds(commit.duration));
  const std::int64_t finished = store_->compaction().finished_revision();
  if (finished == seen_compaction_) return;
  seen_compaction_ = finished;
  if (const auto took = metrics_->compactions.finished(finished, options_.clock.now())) {
    metrics_->compaction_total.observe(milliseconds(*took));
    const backend::Sizes sizes = boot_.backend->sizes();
    const auto stored = store_->hashes().at(finished);
    options_.logger.info("finished scheduled compaction", {{"compact-revision", finished},
                                                           {"took", config::go_duration(*took)},
                                                           {"hash", stored ? stored->hash : 0},
                                                           {"current-db-size-bytes", sizes.allocated},
                                                           {"current-db-size", base::human_bytes(sizes.allocated)},
                                                           {"current-db-size-in-use-bytes", sizes.quota},
                                                           {"current-db-size-in-use", base::human_bytes(sizes.quota)}});
  }
  metrics_->last_compaction_seconds.store(options_.clock.wall_milliseconds() / 1000, std::memory_order_relaxed);
}

void Member::snapshot_if_due() {
  const std::uint64_t applied = apply_loop_->applied_index();
  const config::Config& config = options_.config;
  if (applied > memory_snapshot_index_ + kMemorySnapshotEntries) {
    memory_snapshot_index_ = applied;
    // Never past what a restart needs: the log on disk is read from the newest marker, memory may hold less.
    raft_loop_->compact_log(applied, config.snapshot_catchup_entries);
  }
  if (snapshot_in_progress_ || applied <= disk_snapshot_index_ || applied - disk_snapshot_index_ <= config.snapshot_count) return;
  snapshot_in_progress_ = true;
  options_.logger.info("triggering snapshot", {{"local-member-id", base::hex(state_.member_id)},
                                               {"local-member-applied-index", applied},
                                               {"local-member-snapshot-index", disk_snapshot_index_},
                                               {"local-member-snapshot-count", config.snapshot_count}});
  raft::Snapshot snapshot;
  snapshot.metadata.index = applied;
  snapshot.metadata.term = apply_loop_->applied_term();
  snapshot.metadata.conf_state = apply_loop_->conf_state();
  std::vector<wal::StoreMember> members;
  for (const auto& [id, m] : boot_.rows.membership.members())
    members.push_back({m.id, m.peer_urls, m.is_learner, m.name, m.client_urls});
  const std::vector<std::uint64_t> removed(boot_.rows.membership.removed_ids().begin(), boot_.rows.membership.removed_ids().end());
  snapshot.data = base::SharedBytes(wal::encode_store_document(members, removed, boot_.rows.membership.cluster_version()));

  // Database at or past the index, then the .snap file, then the marker, then the release (docs/adr/0002-wal-release.md).
  boot_.backend->request_commit([this, snapshot = std::move(snapshot)](base::Result<backend::Commit> committed) {
    if (!committed) return;  // the commit loop has reported it
    const base::Instant begin = options_.clock.now();
    const auto written = wal::write_snapshot_file(options_.env, options_.config.snap_dir(), snapshot);
    if (!written) {
      failure_.report("snapshot file cannot be written", written.error());
      return;
    }
    metrics_->snapshot_save.observe(options_.clock.now() - begin);
    options_.logger.info("saved snapshot to disk", {{"snapshot-index", snapshot.metadata.index}});
    const std::uint64_t index = snapshot.metadata.index;
    wal_loop_->release({index, snapshot.metadata.term, snapshot.metadata.conf_state}, [this, index] {
      apply_loop_->post([this, index](ApplyLoop&) {
        disk_snapshot_index_ = index;
        snapshot_in_progress_ = false;
      });
    });
    options_.wake_core();
  });
  options_.wake_commit();
}

void Member::purge() {
  const config::Config& config = options_.config;
  const auto warn = [this](const auto& purged, std::string_view what) {
    if (!purged) options_.logger.warn("failed to purge files", {{"what", what}, {"error", purged.error().message()}});
  };
  warn(wal::purge_segments(options_.env, config.effective_wal_dir(), config.max_wals, options_.logger), "wal");
  warn(wal::purge_snapshots(options_.env, config.snap_dir(), "snap", config.max_snapshots, options_.logger), "snap");
}

}  // namespace etcdpp::server

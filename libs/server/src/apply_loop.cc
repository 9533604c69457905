// Hop 10 of a Put: see docs/LIFE_OF_A_PUT.md.
#include "apply_loop.h"

#include <etcdpp/base/failpoint.h>
#include <etcdpp/base/human_bytes.h>
#include <etcdpp/raft/conf_change_codec.h>

#include "apply/requests.h"
#include "cluster_rows.h"
#include "conf_state_json.h"
#include "errc.h"

namespace etcdpp::server {

ApplyLoop::ApplyLoop(ApplyState state, std::string storage_version, Ports ports)
    : state_(state),
      ports_(std::move(ports)),
      applier_(state_),
      applied_index_(state_.backend.opened().consistent_index),
      applied_term_(state_.backend.opened().term),
      published_index_(applied_index_),
      storage_version_(std::move(storage_version)) {
  publish_facts();
}

bool ApplyLoop::step() {
  if (mailbox_.take(taken_))
    for (Work& work : taken_) queue_.push_back(std::move(work));
  bool did = false;
  while (!queue_.empty() && !ports_.failure.failed()) {
    if (auto* message = std::get_if<raft::Message>(&queue_.front())) {
      if (state_.backend.saturated()) {
        ports_.wake_commit();
        break;
      }
      apply_message(*message);
    } else {
      std::get<Task>(queue_.front())(*this);
    }
    queue_.pop_front();
    did = true;
  }
  if (ports_.failure.failed()) return false;
  notice_applied();
  if (state_.backend.freeze_if_due(state_.clock.now())) {
    publish_due_ = true;
    ports_.wake_commit();
  }
  // A buffer whose commit was reported leaves the newest View, and a compaction may begin.
  if (const std::uint64_t committed = state_.backend.committed_index(); committed != seen_committed_index_) {
    seen_committed_index_ = committed;
    publish_due_ = true;
  }
  const base::Instant compaction_began = state_.clock.now();
  if (state_.store.step_compaction()) {
    state_.metrics.index_compaction_pause.observe(milliseconds(state_.clock.now() - compaction_began));
    publish_due_ = true;
    did = true;
  }
  if (publish_due_ || applied_index_ != published_index_) publish();
  answers_.flush();
  if (!acknowledgements_.empty()) ports_.raft.apply_done(std::exchange(acknowledgements_, {}));
  return did;
}

void ApplyLoop::publish() {
  publish_due_ = false;
  published_index_ = applied_index_;
  state_.store.publish(applied_index_);
  if (state_.store.compaction().published()) ports_.wake_commit();
  if (std::exchange(facts_changed_, false)) publish_facts();
  ports_.on_published();
  ports_.member.applied.store(applied_index_, std::memory_order_release);
  ports_.read_indexer.release(applied_index_, answers_);
}

void ApplyLoop::publish_facts() {
  auto facts = std::make_shared<const ClusterFacts>(ClusterFacts{state_.membership, state_.alarms, storage_version_});
  std::lock_guard lock(facts_mutex_);
  facts_ = std::move(facts);
}

std::shared_ptr<const ClusterFacts> ApplyLoop::facts() const {
  std::lock_guard lock(facts_mutex_);
  return facts_;
}

void ApplyLoop::set_storage_version(std::string version) {
  storage_version_ = std::move(version);
  state_.backend.buffer().put(backend::Bucket::kMeta, backend::meta_key::kStorageVersion, storage_version_);
  facts_changed_ = publish_due_ = true;
}

void ApplyLoop::apply_message(raft::Message& message) {
  for (const raft::Entry& entry : message.entries) {
    if (ports_.failure.failed()) return;
    // Delivered again after a restart; the database has it.
    if (entry.index <= applied_index_) continue;
    if (entry.index != applied_index_ + 1) {
      ports_.failure.report("committed entries are not consecutive",
                            base::Error(Errc::kMalformedEntry, "entry " + std::to_string(entry.index) + " behind applied index " +
                                                                   std::to_string(applied_index_)));
      return;
    }
    apply_entry(entry);
    applied_index_ = entry.index;
    applied_term_ = entry.term;
    state_.backend.buffer().set_applied(entry.index, entry.term);
    if (state_.backend.freeze_if_due(state_.clock.now())) ports_.wake_commit();
  }
  for (raft::Message& response : message.responses) acknowledgements_.push_back(std::move(response));
}

void ApplyLoop::apply_entry(const raft::Entry& entry) {
  switch (entry.type) {
    case raft::EntryType::kNormal:
      ETCDPP_FAILPOINT("beforeApplyOneEntryNormal");
      apply_normal(entry);
      return;
    case raft::EntryType::kConfChange:
      ETCDPP_FAILPOINT("beforeApplyOneConfChange");
      apply_conf_change(entry);
      return;
    case raft::EntryType::kConfChangeV2: break;
  }
  ports_.failure.report("committed entry of a type that this log cannot hold",
                        base::Error(Errc::kMalformedEntry, "index " + std::to_string(entry.index)));
}

void ApplyLoop::apply_normal(const raft::Entry& entry) {
  if (entry.data.empty()) {
    if (ports_.member.is_leader() && entry.term == ports_.member.term.load(std::memory_order_relaxed))
      ports_.on_leader_entry(entry.term);
    return;
  }
  auto& request = *google::protobuf::Arena::CreateMessage<etcdserverpb::InternalRaftRequest>(&arena_);
  if (!parse_deep(request, entry.data.view())) {
    ports_.failure.report("committed entry cannot be decoded; look at it with: waldump --last 100 <data-dir>",
                          base::Error(Errc::kMalformedEntry, "index " + std::to_string(entry.index)));
    return;
  }
  const std::uint64_t id = request.id() != 0 ? request.id() : request.header().id();
  Applied applied = applier_.apply(request, entry.index, ports_.waiters.waits(id));
  if (!applied.response && is_fatal(applied.response.error())) {
    ports_.failure.report("database cannot be read while applying", applied.response.error());
    return;
  }
  if (request.has_alarm() || request.has_cluster_version_set() || request.has_cluster_member_attr_set())
    facts_changed_ = true;
  if (request.has_lease_revoke()) ports_.on_lease_revoked(request.lease_revoke().id());
  if (request.has_cluster_version_set()) {
    // The storage follows the cluster, by this member alone.
    if (storage_version_ != request.cluster_version_set().ver()) {
      set_storage_version(request.cluster_version_set().ver());
      state_.logger.info("updated storage version", {{"new-storage-version", storage_version_}});
    }
  }
  answer(id, std::move(applied));
  if (arena_.SpaceUsed() > (1u << 18)) arena_.Reset();
}

void ApplyLoop::answer(std::uint64_t id, Applied applied) {
  auto waiter = ports_.waiters.take(id);
  const bool out_of_space = !applied.response && applied.response.error().code == Errc::kNoSpace &&
                            !state_.alarms.any(AlarmKind::kNoSpace);
  if (out_of_space) {
    state_.logger.warn("message exceeded backend quota; raising alarm",
                       {{"quota-size-bytes", state_.quota.limit_bytes()},
                        {"quota-size", base::human_bytes(state_.quota.limit_bytes())}});
    if (!waiter) {
      // Another member's client asked, and this one is over its quota all the same; one alarm at a time is enough.
      if (!std::exchange(raising_no_space_, true)) ports_.raise_no_space([this] { raising_no_space_ = false; });
      return;
    }
    // The alarm stands before the client hears why.
    ports_.raise_no_space([waiter = *std::move(waiter), result = std::move(applied.response)]() mutable {
      net::Executor* home = waiter.home;
      home->post([done = std::move(waiter.done), result = std::move(result)]() mutable { done(std::move(result)); });
    });
    return;
  }
  if (!waiter) return;
  if (applied.wait_for_compaction && applied.response) {
    auto held = std::make_shared<std::pair<Waiter, base::Result<ResponseMessage>>>(*std::move(waiter), std::move(applied.response));
    auto& backend = state_.backend;
    state_.store.compaction().when_idle([held, &backend] {
      backend.request_commit([held](base::Result<backend::Commit>) {
        held->first.home->post([held] { held->first.done(std::move(held->second)); });
      });
    });
    return;
  }
  answers_.answer(*std::move(waiter), std::move(applied.response));
}

void ApplyLoop::apply_conf_change(const raft::Entry& entry) {
  auto change = raft::decode_conf_change(entry.data.view());
  if (!change) {
    ports_.failure.report("committed conf change cannot be decoded", change.error());
    return;
  }
  const base::Result<> changed = change_membership(*change);
  if (!changed && changed.error().code == Errc::kMalformedEntry) {
    ports_.failure.report("committed conf change cannot be decoded", changed.error());
    return;
  }
  // A refused one still has to release raft's pending mark.
  if (!changed) change->node_id = raft::kNone;
  auto conf_state = ports_.raft.apply_conf_change(*change, entry.index);
  if (!conf_state) {
    ports_.failure.report("committed conf change cannot take effect", conf_state.error());
    return;
  }
  if (changed) {
    conf_state_ = *std::move(conf_state);
    state_.backend.buffer().set_conf_state(conf_state_json(conf_state_));
    facts_changed_ = true;
    state_.logger.info("applied a configuration change through raft",
                       {{"local-member-id", base::hex(state_.local_member_id)},
                        {"raft-conf-change", raft::to_string(change->type)},
                        {"raft-conf-change-node-id", base::hex(change->node_id)}});
  }
  Applied applied;
  if (!changed) applied.response = changed.error();
  answer(change->id, std::move(applied));
}

base::Result<> ApplyLoop::change_membership(const raft::ConfChange& change) {
  Membership& membership = state_.membership;
  switch (change.type) {
    case raft::ConfChangeType::kAddNode:
    case raft::ConfChangeType::kAddLearnerNode: {
      ETCDPP_ASSIGN(ConfChangeContext context, parse_member_json(change.context));
      if (context.member.id != change.node_id) return base::Error(Errc::kMalformedEntry, "conf change names two ids");
      if (context.is_promote) {
        ETCDPP_TRY(membership.validate_promote(change.node_id));
        membership.promote(change.node_id, state_.membership_rows);
        return {};
      }
      context.member.is_learner = change.type == raft::ConfChangeType::kAddLearnerNode;
      ETCDPP_TRY(membership.validate_add(context.member, state_.max_learners));
      state_.logger.info("added member", {{"local-member-id", base::hex(state_.local_member_id)},
                                          {"added-peer-id", base::hex(change.node_id)},
                                          {"added-peer-peer-urls", context.member.peer_urls},
                                          {"added-peer-is-learner", context.member.is_learner}});
      membership.add(std::move(context.member), state_.membership_rows);
      return {};
    }
    case raft::ConfChangeType::kRemoveNode:
      ETCDPP_TRY(membership.validate_remove(change.node_id));
      membership.remove(change.node_id, state_.membership_rows);
      state_.logger.info("removed member", {{"removed-remote-peer-id", base::hex(change.node_id)}});
      return {};
    case raft::ConfChangeType::kUpdateNode: {
      ETCDPP_ASSIGN(ConfChangeContext context, parse_member_json(change.context));
      if (context.member.id != change.node_id) return base::Error(Errc::kMalformedEntry, "conf change names two ids");
      ETCDPP_TRY(membership.validate_update(context.member));
      membership.update_peer_urls(change.node_id, std::move(context.member.peer_urls), state_.membership_rows);
      state_.logger.info("updated member", {{"updated-remote-peer-id", base::hex(change.node_id)}});
      return {};
    }
  }
  return base::Error(Errc::kMalformedEntry, "conf change of an unknown type");
}

void ApplyLoop::when_applied(std::uint64_t index, base::Instant deadline, std::move_only_function<void(base::Result<>)> then) {
  if (index <= applied_index_) return then({});
  waiting_for_apply_.emplace(index, WaitingForApply{deadline, std::move(then)});
}

void ApplyLoop::notice_applied() {
  while (!waiting_for_apply_.empty() && waiting_for_apply_.begin()->first <= applied_index_) {
    const auto reached = waiting_for_apply_.extract(waiting_for_apply_.begin());
    reached.mapped().then({});
  }
}

void ApplyLoop::end_late_waits(base::Instant now) {
  for (auto it = waiting_for_apply_.begin(); it != waiting_for_apply_.end();) {
    if (it->second.deadline > now) {
      ++it;
      continue;
    }
    auto then = std::move(it->second.then);
    it = waiting_for_apply_.erase(it);
    then(base::Error(Errc::kTimeoutWaitingForApply));
  }
}

}  // namespace etcdpp::server

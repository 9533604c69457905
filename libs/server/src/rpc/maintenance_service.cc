#include "maintenance_service.h"

#include <algorithm>

#include <fmt/format.h>

#include <etcdpp/backend/database.h>
#include <etcdpp/base/crc32c.h>
#include <etcdpp/base/human_bytes.h>
#include <etcdpp/config/config.h>
#include <etcdpp/mvcc/hash_kv.h>

#include "../apply/requests.h"
#include "../errc.h"

namespace etcdpp::server {

namespace {

/// Maintenance.Hash: every bucket's name and rows in order, without what differs between members that agree.
base::Result<std::uint32_t> hash_of_all_buckets(const backend::ReadTransaction& transaction) {
  std::uint32_t crc = 0;
  for (const backend::Bucket bucket : backend::kBuckets) {
    crc = base::crc32c(crc, backend::bucket_name(bucket));
    ETCDPP_TRY(transaction.scan_bucket(bucket, [&](base::BytesView key, base::BytesView value) -> base::Result<> {
      namespace meta_key = backend::meta_key;
      if (bucket == backend::Bucket::kMeta && (key == meta_key::kTerm || key == meta_key::kConsistentIndex || key == meta_key::kStorageVersion)) return {};
      crc = base::crc32c(base::crc32c(crc, key), value);
      return {};
    }));
  }
  return crc;
}

}  // namespace

void MaintenanceService::add_to(net::GrpcServer& server) {
  const auto bind = [this](void (MaintenanceService::*method)(net::CallRef, std::string_view)) {
    return [this, method](net::CallRef call, std::string_view message) { (this->*method)(std::move(call), message); };
  };
  server.unary("/etcdserverpb.Maintenance/Status", bind(&MaintenanceService::status));
  server.unary("/etcdserverpb.Maintenance/Alarm", bind(&MaintenanceService::alarm));
  server.unary("/etcdserverpb.Maintenance/Defragment", bind(&MaintenanceService::defragment));
  server.unary("/etcdserverpb.Maintenance/Hash", bind(&MaintenanceService::hash));
  server.unary("/etcdserverpb.Maintenance/HashKV", bind(&MaintenanceService::hash_kv));
  server.server_stream("/etcdserverpb.Maintenance/Snapshot", bind(&MaintenanceService::snapshot));
}

void MaintenanceService::status(net::CallRef call, std::string_view) {
  const MemberState& state = member_.state();
  const auto facts = member_.facts();
  const backend::Sizes sizes = member_.backend().sizes();
  etcdserverpb::StatusResponse response;
  *response.mutable_header() = header(member_.views().revision());
  response.set_version(std::string(config::kEtcdVersion));
  response.set_dbsize(static_cast<std::int64_t>(std::max(sizes.allocated, sizes.quota)));
  response.set_dbsizeinuse(static_cast<std::int64_t>(sizes.quota));
  const std::int64_t configured = member_.config().quota_backend_bytes;
  response.set_dbsizequota(configured < 0 ? configured : static_cast<std::int64_t>(member_.quota().limit_bytes()));
  response.set_leader(state.leader);
  response.set_raftindex(state.committed);
  response.set_raftappliedindex(state.applied);
  response.set_raftterm(state.term);
  response.set_storageversion(facts->storage_version);
  if (const MemberRecord* self = facts->membership.find(state.member_id)) response.set_islearner(self->is_learner);
  response.mutable_downgradeinfo();
  if (!state.has_leader()) response.add_errors(make_error_code(Errc::kNoLeader).message());
  for (const Alarm& alarm : facts->alarms.active())
    response.add_errors(fmt::format("memberID:{} alarm:{}", alarm.member_id,
                                    etcdserverpb::AlarmType_Name(static_cast<etcdserverpb::AlarmType>(alarm.kind))));
  reply(*call, response);
}

void MaintenanceService::alarm(net::CallRef call, std::string_view message) {
  etcdserverpb::AlarmRequest request;
  if (!parse_request(request, message, *call)) return;
  propose<etcdserverpb::AlarmResponse>(std::move(call), RequestField::kAlarm, message);
}

void MaintenanceService::snapshot(net::CallRef call, std::string_view) { snapshots_.start(std::move(call)); }

void MaintenanceService::defragment(net::CallRef call, std::string_view) {
  begin_defragment([this, call = std::make_shared<net::CallRef>(std::move(call))](base::Result<backend::Defragmented> result) {
    net::Executor& home = (*call)->executor();
    home.post([call, result = std::move(result)] {
      if (!result) return refuse(**call, result.error());
      reply(**call, etcdserverpb::DefragmentResponse());
    });
  });
}

void MaintenanceService::defragment_at_start() {
  const std::uint64_t threshold = member_.config().bootstrap_defrag_threshold_megabytes << 20;
  if (threshold == 0) return;
  const backend::Sizes sizes = member_.backend().sizes();
  if (sizes.allocated >= sizes.quota && sizes.allocated - sizes.quota >= threshold)
    return begin_defragment([](const base::Result<backend::Defragmented>&) {});
  member_.logger().info("Skipping defragmentation", {{"current-db-size-bytes", sizes.allocated},
                                                     {"current-db-size", base::human_bytes(sizes.allocated)},
                                                     {"current-db-size-in-use-bytes", sizes.quota},
                                                     {"current-db-size-in-use", base::human_bytes(sizes.quota)},
                                                     {"bootstrap-defrag-threshold-bytes", threshold},
                                                     {"bootstrap-defrag-threshold", base::human_bytes(threshold)}});
}

void MaintenanceService::begin_defragment(backend::DefragmentDone done) {
  const bool leaves_service = member_.config().feature_gates.stop_grpc_service_on_defrag;
  if (leaves_service && defragmenting_++ == 0) health_.set_serving(false, "defrag is active");
  member_.metrics().defragmenting.fetch_add(1, std::memory_order_relaxed);
  member_.backend().defragment([this, leaves_service, done = std::move(done)](base::Result<backend::Defragmented> result) {
    base::Logger& log = member_.logger();
    member_.metrics().defragmenting.fetch_sub(1, std::memory_order_relaxed);
    if (leaves_service && --defragmenting_ == 0) health_.set_serving(true);
    if (!result) {
      log.warn("failed to defragment", {{"error", result.error().message()}});
    } else {
      member_.metrics().defragmentation.observe(result->duration);
      log.info("finished defragmenting directory",
               {{"path", member_.backend().database()->path()},
                {"current-db-size-bytes-diff", static_cast<std::int64_t>(result->allocated_after - result->allocated_before)},
                {"current-db-size-bytes", result->allocated_after},
                {"current-db-size", base::human_bytes(result->allocated_after)},
                {"rows", result->rows},
                {"took", config::go_duration(result->duration)}});
      log.info("finished defragment");
    }
    done(std::move(result));
  });
}

void MaintenanceService::hash(net::CallRef call, std::string_view) {
  // A commit first: the hash is of what is in the database, and that should be everything.
  member_.apply_loop().post([this, call = std::make_shared<net::CallRef>(std::move(call))](ApplyLoop& loop) {
    loop.state().backend.request_commit([this, call](const base::Result<backend::Commit>& committed) {
      if (!committed) return answer_hash(call, committed.error());
      // In the commit loop's thread, before its next transaction: this snapshot sees exactly that commit.
      struct Snapshot {
        std::shared_ptr<const backend::Database> database;
        backend::ReadTransaction transaction;
      };
      auto database = member_.backend().database();
      auto begun = database->begin_read();
      if (!begun) return answer_hash(call, begun.error());
      const auto snapshot = std::make_shared<Snapshot>(std::move(database), *std::move(begun));
      const bool accepted = readers_.run([this, call, snapshot] {
        const base::Instant begin = member_.clock().now();
        auto crc = hash_of_all_buckets(snapshot->transaction);
        member_.metrics().hash.observe(member_.clock().now() - begin);
        answer_hash(call, std::move(crc));
      });
      if (!accepted) answer_hash(call, base::Error(Errc::kTooManyRequests));
    });
  });
  member_.wake_core();
}

void MaintenanceService::answer_hash(const std::shared_ptr<net::CallRef>& call, base::Result<std::uint32_t> crc) {
  net::Executor& home = (*call)->executor();
  home.post([this, call, crc = std::move(crc)] {
    if (!crc) {
      if (is_fatal(crc.error())) member_.failure().report("database cannot be read", crc.error());
      return refuse(**call, crc.error());
    }
    etcdserverpb::HashResponse response;
    *response.mutable_header() = header(member_.views().revision());
    response.set_hash(*crc);
    reply(**call, response);
  });
}

void MaintenanceService::hash_kv(net::CallRef call, std::string_view message) {
  etcdserverpb::HashKVRequest request;
  if (!parse_request(request, message, *call)) return;
  net::GrpcCall& asked = *call;
  // Slices of one hash, each in its turn among other long reads.
  struct Job {
    mvcc::HashKv hash;
    net::CallRef call;
    base::Instant begin;
    bool started = false;
  };
  auto job = std::make_shared<Job>(mvcc::HashKv(member_.views(), member_.compaction_hashes(), request.revision()), std::move(call),
                                   member_.clock().now());
  const bool accepted = readers_.run_in_slices([this, job] {
    const auto over = std::exchange(job->started, true) ? job->hash.step() : job->hash.start();
    if (over && !*over) return true;
    member_.metrics().hash_kv.observe(member_.clock().now() - job->begin);
    net::Executor& home = job->call->executor();
    home.post([this, job, over] {
      if (!over) {
        if (is_fatal(over.error())) member_.failure().report("database cannot be read", over.error());
        return refuse(*job->call, over.error());
      }
      etcdserverpb::HashKVResponse response;
      *response.mutable_header() = header(job->hash.current_revision());
      response.set_hash(job->hash.result().hash);
      response.set_compact_revision(job->hash.result().compact_revision);
      response.set_hash_revision(job->hash.result().revision);
      reply(*job->call, response);
    });
    return false;
  });
  if (!accepted) refuse(asked, base::Error(Errc::kTooManyRequests));
}

}  // namespace etcdpp::server

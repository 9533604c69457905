#include "clients.h"

#include <fmt/format.h>

#include <algorithm>

#include <etcdpp/mvcc/hash_kv.h>
#include <etcdpp/mvcc/range_reader.h>
#include <etcdpp/raft/errc.h>

#include <errc.h>
#include <range_executor.h>
#include <rpc/validation.h>

namespace etcdpp::sim {

using server::RequestField;

namespace {

/// The client cannot know what became of its request.
bool is_unknown(const std::error_code& error) {
  using server::Errc;
  for (const Errc e : {Errc::kStopped, Errc::kTimeout, Errc::kTimeoutLeaderLost, Errc::kTimeoutConnectionLost,
                       Errc::kTimeoutWaitingForApply, Errc::kContextDeadline, Errc::kLeaderChanged, Errc::kTooManyRequests})
    if (error == make_error_code(e)) return true;
  return error.category() == raft::error_category();
}

}  // namespace

void Clients::disconnect() {
  member_ = nullptr;
  busy_.assign(busy_.size(), false);
}

bool Clients::idle() const { return std::ranges::none_of(busy_, [](bool b) { return b; }); }

bool Clients::ask() {
  const auto free = std::ranges::find(busy_, false);
  if (free == busy_.end()) return false;
  const auto client = static_cast<std::size_t>(free - busy_.begin());
  *free = true;
  ++asked_;
  const std::uint64_t what = random_.below(100);
  if (what < 65) write(client);
  else if (what < 90) read(client);
  else if (what < 97) renew(client);
  else hash(client);
  return true;
}

std::string Clients::key() { return fmt::format("k{:03}", random_.below(tuning_.keys)); }

std::string Clients::range_end(const std::string& key) {
  switch (random_.below(8)) {
    case 0: return std::string(1, '\0');
    case 1: return "k~";
    case 2: return fmt::format("k{:03}", random_.below(tuning_.keys + 1));
    case 3: return key + "1";
    default: return {};
  }
}

// No two alike, so that every value says which request put it.
std::string Clients::value() {
  std::string value = fmt::format("v{}", asked_);
  value.resize(value.size() + random_.below(tuning_.largest_value + 1), '.');
  return value;
}

std::int64_t Clients::lease() {
  return std::max<std::int64_t>(1, newest_lease_ - static_cast<std::int64_t>(random_.below(tuning_.leases)));
}

etcdserverpb::PutRequest Clients::put() {
  etcdserverpb::PutRequest request;
  request.set_key(key());
  request.set_prev_kv(random_.one_in(4));
  if (random_.one_in(12)) request.set_ignore_value(true);
  else request.set_value(value());
  if (random_.one_in(12)) request.set_ignore_lease(true);
  else if (random_.one_in(4)) request.set_lease(lease());
  return request;
}

etcdserverpb::DeleteRangeRequest Clients::erase() {
  etcdserverpb::DeleteRangeRequest request;
  request.set_key(key());
  request.set_range_end(range_end(request.key()));
  request.set_prev_kv(random_.one_in(3));
  return request;
}

etcdserverpb::TxnRequest Clients::txn(int depth) {
  using etcdserverpb::Compare;
  etcdserverpb::TxnRequest request;
  for (std::uint64_t i = random_.below(3); i > 0; --i) {
    Compare& c = *request.add_compare();
    c.set_key(key());
    if (random_.one_in(4)) c.set_range_end(range_end(c.key()));
    c.set_result(static_cast<Compare::CompareResult>(random_.below(4)));
    c.set_target(static_cast<Compare::CompareTarget>(random_.below(5)));
    const auto number = static_cast<std::int64_t>(random_.below(random_.one_in(2) ? 3 : static_cast<std::uint64_t>(history_.highest_revision) + 2));
    switch (c.target()) {
      case Compare::VERSION: c.set_version(number); break;
      case Compare::CREATE: c.set_create_revision(number); break;
      case Compare::MOD: c.set_mod_revision(number); break;
      case Compare::LEASE: c.set_lease(number); break;
      default: c.set_value("v"); break;
    }
  }
  for (auto* branch : {request.mutable_success(), request.mutable_failure()}) {
    for (std::uint64_t i = random_.below(4); i > 0; --i) {
      auto& op = *branch->Add();
      const std::uint64_t kind = random_.below(depth > 0 ? 10 : 9);
      if (kind < 5) {
        *op.mutable_request_put() = put();
      } else if (kind < 7) {
        *op.mutable_request_delete_range() = erase();
      } else if (kind < 9) {
        op.mutable_request_range()->set_key(key());
        op.mutable_request_range()->set_range_end(range_end(op.request_range().key()));
      } else {
        *op.mutable_request_txn() = txn(depth - 1);
      }
    }
  }
  return request;
}

void Clients::write(std::size_t client) {
  const std::uint64_t what = random_.below(100);
  if (what < tuning_.compactions_per_hundred) {
    etcdserverpb::CompactionRequest request;
    const auto newest = static_cast<std::uint64_t>(history_.highest_revision);
    // Often shortly below the newest, sometimes far behind, sometimes in the future.
    request.set_revision(static_cast<std::int64_t>(random_.one_in(4) ? random_.below(newest + 3) : newest - random_.below(std::min<std::uint64_t>(newest, 20))));
    request.set_physical(random_.one_in(3));
    return propose(client, RequestField::kCompaction, request.SerializeAsString());
  }
  if (what < 14) {
    etcdserverpb::LeaseGrantRequest request;
    request.set_id(random_.one_in(4) ? lease() : ++newest_lease_);
    ++history_.grants_asked[request.id()];
    request.set_ttl(static_cast<std::int64_t>(1 + random_.below(random_.one_in(2) ? 5 : 40)));
    return propose(client, RequestField::kLeaseGrant, request.SerializeAsString());
  }
  if (what < 17) {
    etcdserverpb::LeaseRevokeRequest request;
    request.set_id(lease());
    history_.revocations[request.id()] = member_->clock().now();
    return propose(client, RequestField::kLeaseRevoke, request.SerializeAsString());
  }
  if (what < 30) return propose(client, RequestField::kDeleteRange, erase().SerializeAsString());
  if (what < 55) {
    const etcdserverpb::TxnRequest request = txn(2);
    // Read-only ones are no entries, and some are refused before they are proposed.
    if (!server::check_txn_request(request, 128) || server::is_read_only(request)) return done(client);
    return propose(client, RequestField::kTxn, request.SerializeAsString());
  }
  propose(client, RequestField::kPut, put().SerializeAsString());
}

void Clients::propose(std::size_t client, RequestField field, std::string request) {
  server::Proposer& proposer = member_->proposer();
  const std::size_t number = history_.writes.size();
  // The proposer takes the id after this one.
  Write write;
  write.id = proposer.next_id() + 1;
  write.field = field;
  write.request = request;
  write.asked_at = member_->clock().now();
  write.acknowledged_before = history_.highest_revision;
  trace_.line(fmt::format("client {} asks {}: field {}, {} bytes", client, number, static_cast<int>(field), request.size()));
  history_.writes.push_back(std::move(write));
  proposer.propose(
      field, request,
      [this, client, number](const base::Result<server::ResponseMessage>& result) {
        done(client);
        answered(number, result);
      },
      executor_);
}

void Clients::answered(std::size_t number, const base::Result<server::ResponseMessage>& result) {
  Write& write = history_.writes[number];
  trace_.line(fmt::format("answer {}: {}", number, result ? "ok" : result.error().message()));
  if (!result && is_unknown(result.error().code)) return;
  write.answered = true;
  if (!result) {
    write.error = result.error().code;
    return;
  }
  write.response = (*result)->SerializeAsString();
  trace_.bytes(write.response);
  // Every response has its header first.
  etcdserverpb::PutResponse head;
  if (head.ParseFromString(write.response)) history_.saw(head.header().revision());
  if (write.field == RequestField::kLeaseGrant) {
    etcdserverpb::LeaseGrantResponse grant;
    grant.ParseFromString(write.response);
    history_.lease_promises[grant.id()] = {write.asked_at, grant.ttl()};
  }
  if (write.field == RequestField::kCompaction) {
    etcdserverpb::CompactionRequest compaction;
    compaction.ParseFromString(write.request);
    history_.highest_compaction = std::max(history_.highest_compaction, compaction.revision());
  }
}

void Clients::read(std::size_t client) {
  Read read;
  read.key = key();
  read.range_end = range_end(read.key);
  if (random_.one_in(4)) read.requested = static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(history_.highest_revision) + 2));
  if (random_.one_in(6)) read.limit = static_cast<std::int64_t>(1 + random_.below(5));
  read.acknowledged_before = history_.highest_revision;
  trace_.line(fmt::format("client {} reads {} at {}", client, read.key, read.requested));
  if (random_.one_in(3)) {
    done(client);
    return answer_read(std::move(read));
  }
  const base::Instant deadline = member_->clock().now() + member_->config().request_timeout();
  member_->read_indexer().request(
      [this, client, read = std::move(read)](base::Result<> confirmed) mutable {
        done(client);
        if (confirmed) answer_read(std::move(read));
        else trace_.line("read: " + confirmed.error().message());
      },
      executor_, deadline);
}

void Clients::answer_read(Read read) {
  if (!read.range_end.empty() && random_.one_in(2)) return start_long_read(std::move(read));
  etcdserverpb::RangeRequest request;
  request.set_key(read.key);
  request.set_range_end(read.range_end);
  request.set_revision(read.requested);
  request.set_limit(read.limit);
  const auto answer = [&]() -> base::Result<> {
    ETCDPP_ASSIGN(const auto reader, mvcc::RangeReader::open(member_->views()));
    ETCDPP_ASSIGN(const auto selection, server::select_range(reader, request));
    read.revision = selection.current_revision;
    server::append_selection(selection, read.response);
    return {};
  }();
  finish_read(std::move(read), answer);
}

// As a long answer leaves the server: pinned, in slices, while everything else goes on.
struct Clients::LongRead {
  Read read;
  mvcc::RangeCursor cursor;
  std::size_t rows_at_a_time;
};

void Clients::start_long_read(Read read) {
  etcdserverpb::RangeRequest request;
  request.set_revision(read.requested);
  request.set_limit(read.limit);
  const auto started = [&]() -> base::Result<> {
    mvcc::RangeCursor cursor(mvcc::KeyRange::of(read.key, read.range_end), server::range_options(request), mvcc::RangeCursor::Hold::kPin);
    ETCDPP_ASSIGN(auto reader, mvcc::RangeReader::open(member_->views()));
    ETCDPP_ASSIGN(const auto answer, cursor.start(member_->views(), reader));
    for (bool measured = false; !measured;) {
      ETCDPP_ASSIGN(measured, cursor.measure(reader, 1 + random_.below(20)));
    }
    read.revision = answer.current_revision;
    continue_long_read(LongRead{std::move(read), std::move(cursor), 1 + random_.below(10)});
    return {};
  }();
  if (!started) finish_read(std::move(read), started);
}

void Clients::continue_long_read(LongRead next) {
  executor_.post([this, at = std::move(next)]() mutable {
    const auto sent = [&]() -> base::Result<> {
      ETCDPP_ASSIGN(const auto reader, mvcc::RangeReader::open(member_->views()));
      std::vector<mvcc::RangeRow> rows;
      ETCDPP_TRY(at.cursor.next(reader, at.rows_at_a_time, 100'000, rows));
      for (const mvcc::RangeRow& row : rows) server::append_row(row, at.read.response);
      if (rows.empty() && !at.cursor.done()) return base::Error(mvcc::Errc::kRowMissing, "a slice without rows");
      return {};
    }();
    if (sent && !at.cursor.done()) return continue_long_read(std::move(at));
    if (sent) {
      const auto announced = static_cast<std::size_t>(at.cursor.total_bytes());
      if (announced != at.read.response.size()) at.read.error = make_error_code(mvcc::Errc::kBadRow);
      server::append_range_end(at.cursor.answer().more, at.cursor.answer().count, at.read.response);
    }
    finish_read(std::move(at.read), sent);
  });
}

void Clients::finish_read(Read read, const base::Result<>& answer) {
  // A dying process may say anything about its database, and says it to nobody.
  if (!answer && member_->failure().failed()) return;
  if (!answer) read.error = answer.error().code;
  trace_.line(fmt::format("read {}: {} at {}", read.key, answer ? "ok" : answer.error().message(), read.revision));
  trace_.bytes(read.response);
  history_.saw(read.revision);
  history_.reads.push_back(std::move(read));
}

void Clients::renew(std::size_t client) {
  const std::int64_t id = lease();
  const base::Instant asked_at = member_->clock().now();
  member_->apply_loop().post([this, client, id, asked_at](server::ApplyLoop& loop) {
    member_->primary_lessor().renew(id, [this, client, id, asked_at, &loop](const base::Result<std::int64_t>& renewed) {
      const std::int64_t ttl = renewed.value_or(0);
      loop.answers().add(&executor_, [this, client, id, asked_at, ttl] {
        done(client);
        trace_.line(fmt::format("lease {} renewed: {} s", id, ttl));
        if (ttl > 0) history_.lease_promises[id] = {asked_at, ttl};
      });
    });
  });
}

void Clients::hash(std::size_t client) {
  done(client);
  mvcc::HashKv hash(member_->views(), member_->compaction_hashes(), 0);
  const auto result = hash.run();
  if (!result) {
    trace_.line("hash: " + result.error().message());
    return;
  }
  trace_.line(fmt::format("hash {:08x} at {} behind {}", result->hash, result->revision, result->compact_revision));
  history_.hashes.push_back({result->revision, result->compact_revision, result->hash});
}

}  // namespace etcdpp::sim

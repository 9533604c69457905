#include "row_check.h"

#include <algorithm>

#include <authpb/auth.pb.h>
#include <etcdserverpb/rpc.pb.h>
#include <leasepb/lease.pb.h>
#include <nlohmann/json.hpp>

#include <etcdpp/mvcc/compaction.h>

#include "message_parse.h"

namespace etcdpp::mvccdump {

namespace {

bool is_member_id(base::BytesView key) {
  return !key.empty() && key.size() <= 16 && key[0] != '0' && key.find_first_not_of("0123456789abcdef") == base::BytesView::npos;
}

}  // namespace

void RowCheck::problem(Bucket bucket, base::BytesView key, std::string what) {
  const auto at = bucket == Bucket::kKey ? mvcc::decode_row_key(key) : base::Result<mvcc::RowKey>(base::Error(std::make_error_code(std::errc::invalid_argument)));
  const std::string row = at ? "revision " + revision_text(at->revision) : bucket == Bucket::kKey || bucket == Bucket::kLease || bucket == Bucket::kAlarm ? "row 0x" + base::hex(key) : "row " + in_quotes(key);
  report_({"bucket " + std::string(backend::bucket_name(bucket)) + ", " + row, std::move(what)});
}

void RowCheck::run(Source& source, Progress& progress) {
  check_buckets(source);
  // Leases and marks first: rows of keys speak of them.
  if (const auto marks = read_compaction_marks(source)) marks_ = *marks;
  source.show(progress, "checking rows");
  for (const Bucket bucket : {Bucket::kLease, Bucket::kMeta, Bucket::kAlarm, Bucket::kAuth, Bucket::kAuthRoles, Bucket::kAuthUsers, Bucket::kCluster,
                              Bucket::kMembers, Bucket::kMembersRemoved, Bucket::kKey}) {
    const auto scanned = source.scan(bucket, [&](const Row& row) -> base::Result<> {
      ++rows_;
      if (!row.intact) {
        problem(bucket, row.key, "the checksum is wrong");
      } else if (bucket == Bucket::kKey) {
        check_key_row(row);
      } else if (bucket == Bucket::kMeta) {
        check_meta_row(row);
      } else {
        check_small_row(bucket, row);
      }
      return {};
    });
    if (!scanned) report_({"bucket " + std::string(backend::bucket_name(bucket)), "cannot be read to its end: " + scanned.error().message()});
  }
  if (last_.main > 0 && !has_index_) report_({"bucket meta", "has no consistent_index, and there are revisions"});
  if (marks_.finished > marks_.scheduled) report_({"bucket meta", "finishedCompactRev is above scheduledCompactRev"});
  for (const auto& [key, life] : keys_) {
    if (life.lives && life.lease != 0 && !leases_.contains(static_cast<std::uint64_t>(life.lease)))
      report_({"key " + in_quotes(key), "is attached to lease " + base::hex(static_cast<std::uint64_t>(life.lease)) + ", which is not there"});
  }
}

void RowCheck::check_buckets(Source& source) {
  const auto known = source.buckets();
  if (!known) {
    report_({"the list of buckets", "cannot be read: " + known.error().message()});
    return;
  }
  for (const Bucket bucket : backend::kBuckets)
    if (std::find(known->begin(), known->end(), bucket) == known->end())
      report_({"bucket " + std::string(backend::bucket_name(bucket)), "is missing"});
  if (const auto foreign = source.foreign_buckets())
    for (const auto& name : *foreign) report_({"bucket " + in_quotes(name), "is none of etcd's"});
}

void RowCheck::check_key_row(const Row& row) {
  const auto wrong = [&](std::string what) { problem(Bucket::kKey, row.key, std::move(what)); };
  const auto at = mvcc::decode_row_key(row.key);
  if (!at) return wrong("its key is no revision: " + at.error().context);
  const auto kv = mvcc::decode_key_value(row.value);
  if (!kv) return wrong("its value is no KeyValue: " + kv.error().context);
  if (!(last_ < at->revision)) wrong("does not stand behind revision " + revision_text(last_));
  if (at->revision.main < 1) wrong("a main revision below 1");
  last_ = at->revision;
  // What `snapshot restore --bump-revision` leaves.
  if (row.value.empty() && !at->tombstone) return;
  const auto found = keys_.try_emplace(std::string(kv->key));
  Life& life = found.first->second;
  const bool known = !found.second;
  if (at->tombstone) {
    // Behind the mark nothing is missing, so a key that dies has lived.
    if (known && !life.lives) wrong("deletes key " + in_quotes(kv->key) + ", which is deleted already");
    if (!known && at->revision.main > std::max<std::int64_t>(marks_.in_force(), 0)) wrong("deletes key " + in_quotes(kv->key) + ", which does not exist");
    life = {};
    return;
  }
  if (kv->mod_revision != at->revision.main) wrong("its mod_revision is " + std::to_string(kv->mod_revision));
  if (kv->create_revision > at->revision.main || kv->create_revision < 1) wrong("its create_revision is " + std::to_string(kv->create_revision));
  if (kv->version < 1) wrong("its version is " + std::to_string(kv->version));
  if ((kv->version == 1) != (kv->create_revision == at->revision.main) && kv->version == 1)
    wrong("version 1, and created at " + std::to_string(kv->create_revision));
  if (life.lives) {
    if (kv->create_revision != life.created) wrong("its create_revision is " + std::to_string(kv->create_revision) + ", and key " + in_quotes(kv->key) + " was created at " + std::to_string(life.created));
    if (kv->version != life.version + 1) wrong("its version is " + std::to_string(kv->version) + " behind " + std::to_string(life.version) + " of key " + in_quotes(kv->key));
  } else if (kv->version != 1 && (known || at->revision.main > std::max<std::int64_t>(marks_.in_force(), 0)) && kv->version >= 1) {
    wrong("its version is " + std::to_string(kv->version) + ", and key " + in_quotes(kv->key) + " did not exist");
  }
  life = {kv->create_revision, kv->version, kv->lease, true};
}

void RowCheck::check_meta_row(const Row& row) {
  const auto wrong = [&](std::string what) { problem(Bucket::kMeta, row.key, std::move(what)); };
  if (row.key == backend::meta_key::kConsistentIndex || row.key == backend::meta_key::kTerm) {
    if (row.value.size() != 8) return wrong("is not 8 bytes long");
    if (base::get_be64(row.value.data()) == 0) wrong("is 0, which is never written");
    has_index_ |= row.key == backend::meta_key::kConsistentIndex;
  } else if (row.key == mvcc::kScheduledCompactRevKey || row.key == mvcc::kFinishedCompactRevKey) {
    if (!mvcc::decode_row_key(row.value)) wrong("is no revision");
  } else if (row.key == backend::meta_key::kConfState) {
    if (!nlohmann::json::accept(row.value)) wrong("is not JSON");
  } else if (row.key != backend::meta_key::kStorageVersion) {
    wrong("is a name that etcd does not know");
  }
}

void RowCheck::check_small_row(Bucket bucket, const Row& row) {
  const auto wrong = [&](std::string what) { problem(bucket, row.key, std::move(what)); };
  switch (bucket) {
    case Bucket::kLease: {
      leasepb::Lease lease;
      if (row.key.size() != 8) return wrong("its key is not 8 bytes long");
      if (!parse(row.value, lease)) return wrong("is no lease");
      leases_.insert(base::get_be64(row.key.data()));
      if (static_cast<std::uint64_t>(lease.id()) != base::get_be64(row.key.data())) wrong("names itself " + base::hex(static_cast<std::uint64_t>(lease.id())));
      if (lease.ttl() <= 0) wrong("its TTL is " + std::to_string(lease.ttl()));
      return;
    }
    case Bucket::kAlarm: {
      etcdserverpb::AlarmMember alarm;
      if (!parse(row.key, alarm) || !row.value.empty()) wrong("is no alarm");
      return;
    }
    case Bucket::kAuth:
      if (row.key == "authEnabled" ? row.value.size() != 1 : row.key != "authRevision" || row.value.size() != 8) wrong("is neither authEnabled nor authRevision");
      return;
    case Bucket::kAuthUsers: {
      authpb::User user;
      if (!parse(row.value, user)) return wrong("is no user");
      if (user.name() != row.key) wrong("names itself " + in_quotes(user.name()));
      return;
    }
    case Bucket::kAuthRoles: {
      authpb::Role role;
      if (!parse(row.value, role)) return wrong("is no role");
      if (role.name() != row.key) wrong("names itself " + in_quotes(role.name()));
      return;
    }
    case Bucket::kMembers: {
      const auto member = nlohmann::json::parse(row.value, nullptr, false);
      const auto id = member.is_object() ? member.find("id") : member.end();
      if (!member.is_object() || id == member.end() || !id->is_number_unsigned()) return wrong("is no member");
      if (base::hex(id->get<std::uint64_t>()) != row.key) wrong("names itself " + base::hex(id->get<std::uint64_t>()));
      return;
    }
    case Bucket::kMembersRemoved:
      if (!is_member_id(row.key)) wrong("its key is no member id");
      return;
    case Bucket::kCluster:
      if (row.key != "clusterVersion" && row.key != "downgrade") wrong("is neither clusterVersion nor downgrade");
      return;
    case Bucket::kKey:
    case Bucket::kMeta: return;
  }
}

}  // namespace etcdpp::mvccdump

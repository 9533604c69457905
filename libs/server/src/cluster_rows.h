#pragma once

#include <etcdpp/backend/backend.h>
#include <etcdpp/base/result.h>
#include <etcdpp/lease/lessor.h>
#include <etcdpp/mvcc/lease_attach.h>

#include "alarms.h"
#include "membership.h"

namespace etcdpp::server {

/// Rows of the small buckets that the server owns, on their way into the write buffer of the entry being applied
/// (docs/formats/buckets.md). Threads: the apply loop's.

class BackendMembershipRows final : public MembershipRows {
 public:
  explicit BackendMembershipRows(backend::Backend& backend) : backend_(backend) {}
  void put_member(const MemberRecord& member) override;
  void remove_member(std::uint64_t id) override;
  void put_cluster_version(std::string_view version) override;

 private:
  backend::Backend& backend_;
};

class BackendLeaseRows final : public lease::LeaseRows {
 public:
  explicit BackendLeaseRows(backend::Backend& backend) : backend_(backend) {}
  void put(base::BytesView key, base::BytesView value) override { backend_.buffer().put(backend::Bucket::kLease, key, value); }
  void erase(base::BytesView key) override { backend_.buffer().erase(backend::Bucket::kLease, key); }

 private:
  backend::Backend& backend_;
};

/// The store's keys on the lessor's leases.
class LessorAttach final : public mvcc::LeaseAttach {
 public:
  explicit LessorAttach(lease::Lessor& lessor) : lessor_(lessor) {}
  bool attach(std::int64_t lease, base::BytesView key) override { return lessor_.attach(lease, key).has_value(); }
  void detach(base::BytesView key) override { lessor_.detach(key); }

 private:
  lease::Lessor& lessor_;
};

/// What the small buckets of an opened database say.
struct ClusterRows {
  Membership membership;
  Alarms alarms;
  std::string storage_version;
  bool auth_enabled = false;
};
base::Result<ClusterRows> load_cluster_rows(const backend::Backend& backend);

/// auth/authRevision of a new store is 1, written outside the log as etcd does.
void put_fresh_auth_revision(backend::Backend& backend);

}  // namespace etcdpp::server

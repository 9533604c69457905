#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <etcdpp/base/result.h>

namespace etcdpp::server {

/// One member of the cluster, as its row in bucket `members` says.
struct MemberRecord {
  std::uint64_t id = 0;
  std::vector<std::string> peer_urls;
  bool is_learner = false;
  std::string name;
  std::vector<std::string> client_urls;

  bool started() const { return !name.empty(); }
  friend bool operator==(const MemberRecord&, const MemberRecord&) = default;
};

/// What a conf change carries about the member it concerns; a promotion names the id only.
struct ConfChangeContext {
  MemberRecord member;
  bool is_promote = false;
};

/// The JSON of a member, byte for byte as etcd writes it (docs/formats/buckets.md): it is hashed and compared.
std::string member_json(const MemberRecord& member);
/// Understands any field order and unknown fields.
base::Result<ConfChangeContext> parse_member_json(std::string_view json);

/// Rows that change with the membership; the apply loop plugs its write buffer in.
class MembershipRows {
 public:
  virtual ~MembershipRows() = default;
  virtual void put_member(const MemberRecord& member) = 0;
  virtual void remove_member(std::uint64_t id) = 0;
  virtual void put_cluster_version(std::string_view version) = 0;
};

/// Who belongs to the cluster: members, ids that were removed for ever, and the version all have agreed on.
///
/// Threads: the apply loop writes; others read a copy that the loop publishes (ApplyLoop::membership).
class Membership {
 public:
  /// Fills from the rows of a database; nothing is written.
  void load_member(MemberRecord member) { members_[member.id] = std::move(member); }
  void load_removed(std::uint64_t id) { removed_.insert(id); }
  void load_cluster_version(std::string version) { cluster_version_ = std::move(version); }

  /// What an apply refuses; etcd's order of checks (docs/formats/log-entries.md).
  base::Result<> validate_add(const MemberRecord& member, std::size_t max_learners) const;
  base::Result<> validate_promote(std::uint64_t id) const;
  base::Result<> validate_update(const MemberRecord& member) const;
  base::Result<> validate_remove(std::uint64_t id) const;

  void add(MemberRecord member, MembershipRows& rows);
  void promote(std::uint64_t id, MembershipRows& rows);
  void update_peer_urls(std::uint64_t id, std::vector<std::string> peer_urls, MembershipRows& rows);
  /// Name and client URLs, said by the member itself once it runs. False for an id that was removed.
  bool set_attributes(std::uint64_t id, std::string name, std::vector<std::string> client_urls, MembershipRows& rows);
  void remove(std::uint64_t id, MembershipRows& rows);
  void set_cluster_version(std::string version, MembershipRows& rows);

  /// Ascending by id.
  const std::map<std::uint64_t, MemberRecord>& members() const { return members_; }
  const MemberRecord* find(std::uint64_t id) const;
  bool removed(std::uint64_t id) const { return removed_.contains(id); }
  const std::set<std::uint64_t>& removed_ids() const { return removed_; }
  /// "3.7.0"; empty while undecided.
  const std::string& cluster_version() const { return cluster_version_; }

 private:
  bool peer_url_used(const MemberRecord& by) const;

  std::map<std::uint64_t, MemberRecord> members_;
  std::set<std::uint64_t> removed_;
  std::string cluster_version_;
};

}  // namespace etcdpp::server

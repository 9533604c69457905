#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "entry_view.h"

namespace etcdpp::wal {

/// Users, roles and what they may do, as far as a log tells: enough to know which requests were refused when they were applied
/// (etcd evaluates permissions then, on every member alike). Passwords play no part. One owner.
class AuthModel {
 public:
  /// Whether a request that only an administrator may make is applied; changes users and roles if so.
  /// Empty, or etcd's reason for refusing.
  std::string apply(const EntryView& entry);

  /// Whether the caller may write or read [key, range_end); range_end as in requests.
  bool may(const EntryView& entry, bool write, base::BytesView key, base::BytesView range_end) const;
  /// Of a caller at all: empty, or etcd's reason for refusing.
  std::string refuses(const EntryView& entry) const;
  bool is_admin(std::string_view user) const;
  bool enabled() const { return enabled_; }

 private:
  struct Permission {
    int type = 0;
    std::string key;
    std::string range_end;
  };
  struct Fields {
    std::string name;
    std::string role;
  };

  std::string change_user(std::uint32_t request, base::BytesView body);
  std::string change_role(std::uint32_t request, base::BytesView body);

  bool enabled_ = false;
  std::uint64_t revision_ = 1;
  std::map<std::string, std::set<std::string>, std::less<>> users_;
  std::map<std::string, std::vector<Permission>, std::less<>> roles_;
};

}  // namespace etcdpp::wal

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <etcdpp/backend/fresh_database.h>
#include <etcdpp/base/env.h>
#include <etcdpp/base/result.h>
#include <etcdpp/bolt/reader.h>

namespace etcdpp::exchange {

/// What an etcd member's database says of itself, as far as it decides whether and how it can be taken over.
struct EtcdFacts {
  std::uint64_t consistent_index = 0;
  std::uint64_t term = 0;
  std::optional<std::string> storage_version;
  std::string cluster_version;
  bool auth_enabled = false;
  bool downgrading = false;
  /// Keys of bucket `members`: ids in hexadecimal.
  std::vector<std::string> members;
  /// Buckets that no etcd of today knows; they are left behind.
  std::vector<std::string> foreign_buckets;
};

/// The database of a stopped etcd member, read to be taken over: never written to.
///
/// Every row is looked at before it is believed: what Store::restore would refuse is refused here, while etcd's file is
/// still in its place. bbolt keeps no checksums, so a changed value goes unnoticed here as it does in etcd.
/// Threads: one. Errors: kBadRow, kInUse; bolt's for a damaged file, each with its page.
class Import {
 public:
  static base::Result<std::unique_ptr<Import>> open(base::Env& env, const std::string& path);

  const EtcdFacts& facts() const { return facts_; }

  /// Told of the bytes read so far, and of those there are.
  using Progress = std::function<void(std::uint64_t done, std::uint64_t total)>;
  /// Copies the ten buckets; the caller finishes the database.
  base::Result<> copy_to(backend::FreshDatabase& fresh, const Progress& progress = {});
  std::uint64_t rows() const { return rows_; }

 private:
  explicit Import(std::unique_ptr<bolt::Reader> reader) : reader_(std::move(reader)) {}
  base::Result<> read_facts();

  std::unique_ptr<bolt::Reader> reader_;
  EtcdFacts facts_;
  std::uint64_t rows_ = 0;
};

}  // namespace etcdpp::exchange

#pragma once

#include <cstdint>
#include <memory>

#include <etcdpp/base/env.h>

namespace etcdpp::backend {

/// Blocks of the database file that exist before LMDB writes to them, so that a full disk is met here, where nothing has
/// been touched yet: LMDB reports a write that a full disk cut short as an I/O error.
class Preallocation {
 public:
  Preallocation(std::unique_ptr<base::File> file, std::uint64_t map_size) : file_(std::move(file)), map_size_(map_size) {}

  /// Blocks for the first `bytes` of the file exist when it returns, in steps that grow with the file. Beyond the map
  /// it does nothing: LMDB says that itself. kNoSpace when the disk is full.
  base::Result<> reserve(std::uint64_t bytes);
  /// It has done so already.
  bool covers(std::uint64_t bytes) const { return bytes <= reserved_; }
  /// Cuts `bytes` off the end of a file that nobody needs any more: how many are left.
  base::Result<std::uint64_t> give_back(std::uint64_t bytes);
  /// Length and blocks are durable.
  base::Result<> sync() { return file_->sync_all(); }

 private:
  std::unique_ptr<base::File> file_;
  std::uint64_t map_size_;
  std::uint64_t reserved_ = 0;
};

}  // namespace etcdpp::backend

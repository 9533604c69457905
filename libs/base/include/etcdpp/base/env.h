#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <etcdpp/base/result.h>

namespace etcdpp::base {

/// An open file.
///
/// Threads: one user at a time. Errors: the system's code, context = path and call. Durability: nothing is durable
/// before sync_data() or sync_all() returned; a failed sync is never retried (the kernel may have dropped the pages):
/// the owner stops the member.
class File {
 public:
  virtual ~File() = default;
  virtual const std::string& path() const = 0;
  virtual Result<std::uint64_t> size() const = 0;
  /// Reads up to `length` bytes at `offset`; fewer only at the end of the file.
  virtual Result<std::size_t> read_at(std::uint64_t offset, char* out, std::size_t length) = 0;
  /// Writes all of `bytes` at `offset`, or fails having written any prefix.
  virtual Result<> write_at(std::uint64_t offset, std::string_view bytes) = 0;
  /// Bytes and size are durable (fdatasync).
  virtual Result<> sync_data() = 0;
  /// Bytes and all metadata are durable (fsync).
  virtual Result<> sync_all() = 0;
  virtual Result<> truncate(std::uint64_t size) = 0;
  /// Blocks for [0, size) exist and the file is at least that long; what was not written reads as zeros.
  virtual Result<> allocate(std::uint64_t size) = 0;
  /// Exclusive lock on the whole file, kept until the file is closed (open-file-description lock, else flock).
  /// `wait` = false: kLocked when another holds it.
  virtual Result<> lock(bool wait) = 0;
  /// Drops this file's clean pages from the page cache, so that the next read comes from the device.
  virtual Result<> drop_cache() = 0;
  /// A place at or behind `offset` before which there are only zeros: the next byte that takes room on the disk, or the
  /// file's size where there is none. A file system that cannot tell answers `offset`.
  virtual Result<std::uint64_t> next_data(std::uint64_t offset) { return offset; }
};

enum class OpenMode { kReadOnly, kReadWrite, kCreate /* read-write, made if absent */, kCreateTruncate, kCreateNew };

/// Everything that the house asks of the file system, so that tests and the simulator can stand in for the disk.
///
/// Threads: any. Paths are used as given.
class Env {
 public:
  virtual ~Env() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode, unsigned permissions = 0600) = 0;
  virtual bool exists(const std::string& path) = 0;
  /// Names in a directory, sorted, without "." and "..".
  virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;
  /// Makes the directory and its missing parents.
  virtual Result<> make_directories(const std::string& path, unsigned permissions = 0700) = 0;
  virtual Result<> remove(const std::string& path) = 0;
  /// Removes a directory with everything in it; an absent one is success.
  virtual Result<> remove_tree(const std::string& path) = 0;
  virtual Result<> rename(const std::string& from, const std::string& to) = 0;
  /// Names created, renamed or removed in the directory are durable.
  virtual Result<> sync_directory(const std::string& path) = 0;
};

/// The operating system's.
Env& posix_env();

/// Why an Env call failed beyond the system's own codes.
enum class EnvErrc { kLocked = 1 };
std::error_code make_error_code(EnvErrc);

}  // namespace etcdpp::base

template <>
struct std::is_error_code_enum<etcdpp::base::EnvErrc> : std::true_type {};

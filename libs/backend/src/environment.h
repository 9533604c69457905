#pragma once

#include <lmdb.h>

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <etcdpp/backend/errc.h>
#include <etcdpp/base/result.h>

#include "mapped_file.h"
#include "tree_root.h"

namespace etcdpp::backend {

inline MDB_val as_val(std::string_view bytes) { return {bytes.size(), const_cast<char*>(bytes.data())}; }
inline std::string_view as_view(const MDB_val& val) { return {static_cast<const char*>(val.mv_data), val.mv_size}; }

/// LMDB's or the system's code as an error of this library; `where` names file and operation.
base::Error engine_error(int code, std::string where);

/// A read transaction of the pool; reset while it lies there.
struct Reader {
  MDB_txn* transaction = nullptr;
  std::size_t shard = 0;
  // Where its rows begin, found once per snapshot.
  std::uint64_t rows_of = ~std::uint64_t{0};
  TreeRoot rows{};
};

/// An open LMDB file with its three trees and its pool of readers.
///
/// Threads: acquire and release from any; the write transaction belongs to the commit loop.
class Environment {
 public:
  /// Opens an existing file, or makes the trees of a new one. `keep_alive` (the directory's lock) is held as long.
  static base::Result<std::unique_ptr<Environment>> open(const std::string& path, std::uint64_t map_size,
                                                         unsigned max_readers, bool create,
                                                         std::shared_ptr<void> keep_alive);
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment();

  const std::string& path() const { return path_; }
  /// The file has been renamed; before others know of it.
  void set_path(std::string path);
  /// Finds out where the file is mapped, and says so to who handles faults; once it has rows.
  base::Result<> find_map();
  /// Empty until find_map().
  const MappedFile& map() const { return *map_; }
  /// ": page 7, offset 28700" of something that lies in the map, for messages.
  std::string place(const void* at) const;
  const std::shared_ptr<void>& keep_alive() const { return keep_alive_; }
  MDB_env* handle() const { return env_; }
  MDB_dbi key_tree() const { return key_tree_; }
  MDB_dbi small_tree() const { return small_tree_; }
  MDB_dbi own_tree() const { return own_tree_; }
  std::uint64_t allocated_bytes() const;
  std::uint64_t map_size() const;
  /// Pages on the free list, in bytes: what can be written without growing. Walks the list.
  base::Result<std::uint64_t> free_bytes() const;
  /// While true, a commit's meta page is synced with the next commit only: for a file that nobody opens after a crash.
  base::Result<> set_lazy_meta(bool lazy);

  base::Result<Reader*> acquire() const;
  void release(Reader* reader) const;

  base::Error error(int code, const char* operation) const;

 private:
  Environment(std::string path, MDB_env* env, std::shared_ptr<void> keep_alive)
      : keep_alive_(std::move(keep_alive)), path_(std::move(path)), env_(env) {}
  base::Result<> open_trees(bool create);

  // Threads take readers from the shard of their own number, so that they rarely meet at its mutex.
  static constexpr std::size_t kShards = 8;
  struct alignas(64) Shard {
    std::mutex mutex;
    std::vector<Reader*> idle;
  };

  std::shared_ptr<void> keep_alive_;
  std::string path_;
  MDB_env* env_;
  MDB_dbi key_tree_ = 0;
  MDB_dbi small_tree_ = 0;
  MDB_dbi own_tree_ = 0;
  mutable std::array<Shard, kShards> shards_;
  std::unique_ptr<MappedFile> map_ = std::make_unique<MappedFile>();
};

}  // namespace etcdpp::backend

#include "environment.h"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include <etcdpp/base/assert.h>

#include "row_format.h"

namespace etcdpp::backend {

namespace {

constexpr std::uint64_t kSmallestMap = 1u << 20;

bool is_out_of_space(int code) {
  // EFBIG: the process's or the file system's limit on a file's size.
  return code == MDB_MAP_FULL || code == ENOSPC || code == EDQUOT || code == EFBIG;
}

bool larger_than_memory(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) return false;
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page_size = ::sysconf(_SC_PAGESIZE);
  return pages > 0 && page_size > 0 && st.st_size / page_size > pages;
}

std::size_t this_thread_number() {
  static std::atomic<std::size_t> next{0};
  thread_local const std::size_t number = next.fetch_add(1, std::memory_order_relaxed);
  return number;
}

}  // namespace

base::Error engine_error(int code, std::string where) {
  if (is_out_of_space(code)) return base::Error(Errc::kNoSpace, where + ": " + mdb_strerror(code));
  if (code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_INVALID || code == MDB_VERSION_MISMATCH ||
      code == MDB_PANIC)
    return base::Error(Errc::kCorrupt, where + ": " + mdb_strerror(code));
  if (code == MDB_READERS_FULL) return base::Error(Errc::kTooManyReaders, std::move(where));
  if (code > 0) return base::errno_error(code, std::move(where));
  return base::Error(Errc::kEngine, where + ": " + mdb_strerror(code));
}

base::Error Environment::error(int code, const char* operation) const { return engine_error(code, path_ + ": " + operation); }

base::Result<std::unique_ptr<Environment>> Environment::open(const std::string& path, std::uint64_t map_size,
                                                             unsigned max_readers, bool create,
                                                             std::shared_ptr<void> keep_alive) {
  // Default durability: a commit that returned is on disk. NOTLS: a reader belongs to its transaction, not its thread.
  unsigned flags = MDB_NOSUBDIR | MDB_NOTLS;
  if (larger_than_memory(path)) flags |= MDB_NORDAHEAD;
  for (;; map_size /= 2) {
    MDB_env* env = nullptr;
    if (const int rc = mdb_env_create(&env); rc != 0) return engine_error(rc, path + ": mdb_env_create");
    int rc = mdb_env_set_maxdbs(env, 3);
    if (rc == 0) rc = mdb_env_set_maxreaders(env, max_readers);
    if (rc == 0) rc = mdb_env_set_mapsize(env, map_size);
    if (rc == 0) rc = mdb_env_set_assert(env, [](MDB_env*, const char* what) { engine_assertion_failed(what); });
    const EngineCall call(path);
    if (rc == 0) rc = mdb_env_open(env, path.c_str(), flags, 0600);
    if (rc == ENOMEM && map_size / 2 >= kSmallestMap) {
      mdb_env_close(env);
      continue;
    }
    std::unique_ptr<Environment> environment(new Environment(path, env, keep_alive));
    if (rc != 0) return environment->error(rc, "open");
    // Slots of readers that died with an earlier process would pin freed pages for ever.
    int dead = 0;
    if (rc = mdb_reader_check(env, &dead); rc != 0) return environment->error(rc, "check of the reader table");
    ETCDPP_TRY(environment->open_trees(create));
    return environment;
  }
}

base::Result<> Environment::open_trees(bool create) {
  const EngineCall call(path_);
  MDB_txn* transaction = nullptr;
  int rc = mdb_txn_begin(env_, nullptr, create ? 0 : MDB_RDONLY, &transaction);
  if (rc != 0) return error(rc, "begin");
  const unsigned flags = create ? MDB_CREATE : 0;
  rc = mdb_dbi_open(transaction, "key", flags, &key_tree_);
  if (rc == 0) rc = mdb_dbi_open(transaction, "small", flags, &small_tree_);
  if (rc == 0) rc = mdb_dbi_open(transaction, "own", flags, &own_tree_);
  if (rc != 0) {
    mdb_txn_abort(transaction);
    if (rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE)
      return base::Error(Errc::kNotADatabase, path_ + ": an LMDB file without the trees key, small and own");
    return error(rc, "open of the trees");
  }
  if (rc = mdb_txn_commit(transaction); rc != 0) return error(rc, "commit");
  return {};
}

void Environment::set_path(std::string path) {
  path_ = std::move(path);
  map_->rename(path_);
}

// LMDB does not tell; but what it hands out lies in a page that says its own number.
base::Result<> Environment::find_map() {
  ETCDPP_ASSIGN(Reader * reader, acquire());
  MDB_val key = as_val(own_key::kFormatVersion);
  MDB_val stored;
  MDB_envinfo info;
  MDB_stat stat;
  int rc = mdb_env_info(env_, &info);
  if (rc == 0) rc = mdb_env_stat(env_, &stat);
  if (rc == 0) rc = mdb_get(reader->transaction, own_tree_, &key, &stored);
  if (rc == 0) {
    const auto at = reinterpret_cast<std::uintptr_t>(stored.mv_data);
    const char* page = static_cast<const char*>(stored.mv_data) - at % stat.ms_psize;
    map_ = std::make_unique<MappedFile>(path_, page - base::get_le64(page) * stat.ms_psize, info.me_mapsize, stat.ms_psize);
  }
  release(reader);
  if (rc != 0 && rc != MDB_NOTFOUND) return error(rc, "read");
  return {};
}

std::string Environment::place(const void* at) const {
  if (!map_->contains(at)) return {};
  return ": page " + std::to_string(map_->page_of(at)) + ", offset " + std::to_string(map_->offset_of(at));
}

Environment::~Environment() {
  map_.reset();
  for (Shard& shard : shards_) {
    for (Reader* reader : shard.idle) {
      mdb_txn_abort(reader->transaction);
      delete reader;
    }
  }
  mdb_env_close(env_);
}

std::uint64_t Environment::map_size() const {
  MDB_envinfo info;
  return mdb_env_info(env_, &info) == 0 ? info.me_mapsize : 0;
}

std::uint64_t Environment::allocated_bytes() const {
  MDB_envinfo info;
  MDB_stat stat;
  if (mdb_env_info(env_, &info) != 0 || mdb_env_stat(env_, &stat) != 0) return 0;
  return (static_cast<std::uint64_t>(info.me_last_pgno) + 1) * stat.ms_psize;
}

base::Result<std::uint64_t> Environment::free_bytes() const {
  constexpr MDB_dbi kFreeList = 0;
  const EngineCall call(path_);
  MDB_stat stat;
  if (const int rc = mdb_env_stat(env_, &stat); rc != 0) return error(rc, "size");
  ETCDPP_ASSIGN(Reader * reader, acquire());
  MDB_cursor* cursor = nullptr;
  int rc = mdb_cursor_open(reader->transaction, kFreeList, &cursor);
  std::uint64_t pages = 0;
  if (rc == 0) {
    // Each row: how many page numbers, then they.
    MDB_val key, list;
    while ((rc = mdb_cursor_get(cursor, &key, &list, MDB_NEXT)) == 0) pages += list.mv_size / sizeof(std::uint64_t) - 1;
    mdb_cursor_close(cursor);
  }
  release(reader);
  if (rc != MDB_NOTFOUND) return error(rc, "free list");
  return pages * stat.ms_psize;
}

base::Result<> Environment::set_lazy_meta(bool lazy) {
  if (const int rc = mdb_env_set_flags(env_, MDB_NOMETASYNC, lazy ? 1 : 0); rc != 0) return error(rc, "change of flags");
  return {};
}

base::Result<Reader*> Environment::acquire() const {
  const std::size_t shard_number = this_thread_number() % kShards;
  Shard& shard = shards_[shard_number];
  Reader* reader = nullptr;
  {
    std::lock_guard lock(shard.mutex);
    if (!shard.idle.empty()) {
      reader = shard.idle.back();
      shard.idle.pop_back();
    }
  }
  const EngineCall call(path_);
  if (reader) {
    if (const int rc = mdb_txn_renew(reader->transaction); rc != 0) {
      mdb_txn_abort(reader->transaction);
      delete reader;
      return error(rc, "renewal of a read transaction");
    }
    return reader;
  }
  MDB_txn* transaction = nullptr;
  if (const int rc = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &transaction); rc != 0)
    return error(rc, "begin of a read transaction");
  return new Reader{.transaction = transaction, .shard = shard_number};
}

void Environment::release(Reader* reader) const {
  mdb_txn_reset(reader->transaction);
  Shard& shard = shards_[reader->shard];
  std::lock_guard lock(shard.mutex);
  shard.idle.push_back(reader);
}

}  // namespace etcdpp::backend

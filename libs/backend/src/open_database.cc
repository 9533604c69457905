#include "open_database.h"

#include <etcdpp/backend/page_reader.h>

#include "row_format.h"
#include "row_parts.h"
#include "unfinished_database.h"

namespace etcdpp::backend {

namespace {

// The first commit needs a few pages only; the address space of the real map is reserved when the file is in its place.
constexpr std::uint64_t kMapWhileCreating = 1u << 20;

// Under another name until it is whole: a crash leaves a complete database or none.
base::Result<> create(const Options& options, const DatabasePaths& paths, const std::shared_ptr<base::File>& lock) {
  base::Env& env = *options.env;
  {
    ETCDPP_ASSIGN(const auto environment, Environment::open(paths.unfinished, kMapWhileCreating, 1, true, lock));
    ETCDPP_ASSIGN(WriteTransaction transaction, WriteTransaction::begin(*environment));
    ETCDPP_TRY(put_identity(transaction, options));
    ETCDPP_TRY(transaction.commit());
  }
  ETCDPP_TRY(remove_if_there(env, lock_file_of(paths.unfinished)));
  return env.rename(paths.unfinished, paths.database);
}

// What an earlier process left unsynced, or could not sync, is not believed from the page cache: it goes to the device or
// shows what is there.
base::Result<std::unique_ptr<base::File>> open_durable(base::Env& env, const DatabasePaths& paths) {
  ETCDPP_ASSIGN(auto file, env.open(paths.database, base::OpenMode::kReadWrite));
  ETCDPP_TRY(file->drop_cache());
  ETCDPP_TRY(file->sync_data());
  ETCDPP_TRY(env.sync_directory(paths.directory));
  ETCDPP_TRY(env.sync_directory(paths.member));
  return file;
}

base::Result<std::uint64_t> meta_number(const ReadTransaction& transaction, const std::string& path, base::BytesView key) {
  ETCDPP_ASSIGN(const auto value, transaction.get(Bucket::kMeta, key));
  if (!value) return std::uint64_t{0};
  if (value->size() != 8) return base::Error(Errc::kCorrupt, path + ": meta/" + std::string(key) + " has not 8 bytes");
  return base::get_be64(value->data());
}

base::Result<> check_identity(const Options& options, const std::string& path, std::uint64_t cluster_id,
                              std::uint64_t member_id) {
  if (cluster_id == options.cluster_id && member_id == options.member_id) return {};
  return base::Error(Errc::kOtherMember, path + " is of member " + base::hex(member_id) + " in cluster " +
                                             base::hex(cluster_id) + ", this is member " + base::hex(options.member_id) +
                                             " in cluster " + base::hex(options.cluster_id));
}

// Puts rows together from what the verification has found in the tree `key`, and hands them on.
class RowFeed {
 public:
  RowFeed(const RowVisitor& visit, const std::string& path) : visit_(visit), path_(path) {}

  void take(std::uint64_t page, base::BytesView key, base::BytesView stored) {
    if (!fine_) return;
    switch (join_.take(key, stored, false)) {
      case RowJoin::Taken::kRow: fine_ = visit_(join_.key(), join_.value()); return;
      case RowJoin::Taken::kMore: return;
      case RowJoin::Taken::kWrong:
        fine_ = base::Error(Errc::kCorrupt, path_ + ": page " + std::to_string(page) + ": checksum of row " + base::hex(key) + " in tree key");
    }
  }
  /// What was wrong, if anything: said only once the file is known to be this member's, of a known format.
  base::Result<> end() {
    if (fine_ && join_.open()) {
      join_.give_up();
      return lost_parts(path_, join_.key());
    }
    return fine_;
  }

 private:
  const RowVisitor& visit_;
  const std::string& path_;
  RowJoin join_;
  base::Result<> fine_;
};

base::Result<> verify(base::Env& env, const std::string& path, RowFeed* rows) {
  ETCDPP_ASSIGN(const auto pages, PageReader::open(env, path));
  if (!rows) return pages->verify(row_is_whole);
  return pages->verify(row_is_whole, [&](std::string_view tree, std::uint64_t page, base::BytesView key, base::BytesView stored) {
    if (tree == "key") rows->take(page, key, stored);
  });
}

}  // namespace

base::Result<std::shared_ptr<base::File>> take_lock(base::Env& env, const DatabasePaths& paths) {
  ETCDPP_ASSIGN(auto file, env.open(paths.lock, base::OpenMode::kCreate));
  if (auto locked = file->lock(false); !locked) {
    if (locked.error().code == base::EnvErrc::kLocked) return base::Error(Errc::kLocked, paths.directory);
    return base::Error(std::move(locked.error()));
  }
  return std::shared_ptr<base::File>(std::move(file));
}

base::Result<OpenedDatabase> open_database(const Options& options, const RowVisitor& on_row) {
  base::Env& env = *options.env;
  const DatabasePaths paths(options.data_dir);
  if (env.exists(paths.etcd_database)) return base::Error(Errc::kEtcdDatabase, paths.etcd_database);
  ETCDPP_TRY(env.make_directories(paths.directory));
  ETCDPP_ASSIGN(const auto lock, take_lock(env, paths));

  // Of a creation or a defragmentation that did not come to its end.
  ETCDPP_TRY(UnfinishedDatabase::remove(env, paths));
  OpenedDatabase out;
  out.state.created = !env.exists(paths.database);
  if (out.state.created) {
    ETCDPP_TRY(create(options, paths, lock));
  }
  ETCDPP_ASSIGN(auto file, open_durable(env, paths));
  RowFeed rows(on_row, paths.database);
  if (!out.state.created) ETCDPP_TRY(verify(env, paths.database, on_row ? &rows : nullptr));
  ETCDPP_ASSIGN(auto environment, Environment::open(paths.database, options.map_size, options.max_readers, false, lock));
  {
    ETCDPP_ASSIGN(WriteTransaction transaction, WriteTransaction::begin(*environment));
    ETCDPP_ASSIGN(out.state.format_version, transaction.get_own(own_key::kFormatVersion));
    if (out.state.format_version > kFormatVersion)
      return base::Error(Errc::kNewerFormat, paths.database + " has format " + std::to_string(out.state.format_version) +
                                                 ", this version knows " + std::to_string(kFormatVersion));
    if (out.state.format_version == 0) return base::Error(Errc::kNotADatabase, paths.database + ": no format version");
    ETCDPP_ASSIGN(const std::uint64_t cluster_id, transaction.get_own(own_key::kClusterId));
    ETCDPP_ASSIGN(const std::uint64_t member_id, transaction.get_own(own_key::kMemberId));
    ETCDPP_TRY(check_identity(options, paths.database, cluster_id, member_id));
    ETCDPP_TRY(rows.end());
    out.live_bytes = transaction.live_bytes();
    // From now on there may be rows in it that the older format does not have.
    if (out.state.format_version < kFormatVersion) {
      ETCDPP_TRY(transaction.put_own(own_key::kFormatVersion, kFormatVersion));
      ETCDPP_TRY(transaction.commit());
      out.state.format_version = kFormatVersion;
    }
  }
  ETCDPP_TRY(environment->find_map());
  out.preallocation = std::make_unique<Preallocation>(std::move(file), environment->map_size());
  out.database = std::make_shared<Database>(std::move(environment), 1);
  ETCDPP_ASSIGN(const ReadTransaction transaction, out.database->begin_read());
  ETCDPP_ASSIGN(out.state.consistent_index, meta_number(transaction, paths.database, meta_key::kConsistentIndex));
  ETCDPP_ASSIGN(out.state.term, meta_number(transaction, paths.database, meta_key::kTerm));
  ETCDPP_ASSIGN(const auto conf_state, transaction.get(Bucket::kMeta, meta_key::kConfState));
  if (conf_state) out.state.conf_state = *conf_state;
  return out;
}

}  // namespace etcdpp::backend

#include "source.h"

#include <cerrno>
#include <cstring>

#include <etcdpp/bolt/errc.h>

namespace etcdpp::mvccdump {

base::Error enough() { return base::Error(std::make_error_code(std::errc::operation_canceled)); }
bool is_enough(const base::Error& error) { return error.code == std::make_error_code(std::errc::operation_canceled); }

base::Result<> Source::scan(Bucket bucket, const RowVisitor& visit) {
  auto scanned = do_scan(bucket, [&](const Row& row) -> base::Result<> {
    if (progress_) progress_->add(row.key.size() + row.value.size());
    return visit(row);
  });
  if (!scanned && is_enough(scanned.error())) return {};
  return scanned;
}

base::Result<> Source::scan_rows_from(base::BytesView first, const RowVisitor& visit) {
  auto scanned = do_scan_rows(first, visit);
  if (!scanned && is_enough(scanned.error())) return {};
  return scanned;
}

void Source::show(Progress& progress, const std::string& what) {
  progress_ = &progress;
  const auto seen = facts();
  progress.begin(what, seen ? seen->pages * seen->page_size : 0);
}

base::Result<std::string> find_database(base::Env& env, const std::string& path) {
  if (!env.exists(path)) return base::errno_error(ENOENT, path);
  if (!env.list(path)) return path;  // a file
  for (const char* below : {"/member/etcdpp/data.lmdb", "/etcdpp/data.lmdb", "/data.lmdb", "/member/snap/db", "/snap/db", "/db"})
    if (env.exists(path + below)) return path + below;
  return base::errno_error(ENOENT, path + ": no database at member/etcdpp/data.lmdb or member/snap/db below it");
}

base::Result<std::optional<Engine>> detect_engine(base::Env& env, const std::string& path) {
  constexpr std::uint32_t kOwnMagic = 0xBEEFC0DE, kBoltMagic = 0xED0CDAED;
  ETCDPP_ASSIGN(const auto file, env.open(path, base::OpenMode::kReadOnly));
  ETCDPP_ASSIGN(const std::uint64_t size, file->size());
  // The second meta stands behind one page, of whatever size.
  for (std::uint64_t at = 0; at <= (16u << 20) && at < size; at = at == 0 ? 512 : at * 2) {
    char bytes[20];
    ETCDPP_ASSIGN(const std::size_t got, file->read_at(at, bytes, sizeof bytes));
    std::uint32_t magic;
    std::memcpy(&magic, bytes + 16, 4);
    if (got == sizeof bytes && magic == kOwnMagic) return std::optional(Engine::kOwn);
    if (got == sizeof bytes && magic == kBoltMagic) return std::optional(Engine::kBbolt);
  }
  // Both have their pages' numbers first; the kind stands at different places behind.
  constexpr std::uint64_t kPageSize = 4096, kLooked = 256;
  std::uint64_t own = 0, bolt = 0;
  for (std::uint64_t number = 2; number < size / kPageSize && number < kLooked; ++number) {
    char head[16];
    ETCDPP_ASSIGN(const std::size_t got, file->read_at(number * kPageSize, head, sizeof head));
    if (got != sizeof head || base::get_le64(head) != number) continue;
    std::uint16_t first, second;
    std::memcpy(&first, head + 8, 2);
    std::memcpy(&second, head + 10, 2);
    if (first == 1 || first == 2) {
      ++bolt;
    } else if (first == 0 && (second & 7) != 0) {
      ++own;
    }
  }
  if (own == 0 && bolt == 0) return std::optional<Engine>();
  return std::optional(own > bolt ? Engine::kOwn : Engine::kBbolt);
}

base::Result<std::unique_ptr<Source>> open_source(base::Env& env, const std::string& path) {
  ETCDPP_ASSIGN(const std::string file, find_database(env, path));
  ETCDPP_ASSIGN(const auto engine, detect_engine(env, file));
  if (!engine) return base::Error(bolt::Errc::kNotADatabase, file + ": neither a database of etcdpp (LMDB) nor of etcd (bbolt)");
  return *engine == Engine::kOwn ? open_own_source(env, file) : open_bolt_source(env, file);
}

base::Result<SalvageOutcome> salvage(base::Env& env, const std::string& path, Engine engine, const SavedRowVisitor& visit) {
  return engine == Engine::kOwn ? salvage_own(env, path, visit) : salvage_bolt(env, path, visit);
}

}  // namespace etcdpp::mvccdump

#include "disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

namespace etcdpp::sim {

namespace {

using Call = test::FaultEnv::Call;

Disk* the_disk = nullptr;

std::string_view name_of(Call call) {
  switch (call) {
    case Call::kOpen: return "open";
    case Call::kRead: return "read";
    case Call::kWrite: return "write";
    case Call::kSyncData: return "fdatasync";
    case Call::kSyncAll: return "fsync";
    case Call::kTruncate: return "truncate";
    case Call::kAllocate: return "allocate";
    case Call::kLock: return "lock";
    case Call::kDropCache: return "drop-cache";
    case Call::kRename: return "rename";
    case Call::kRemove: return "remove";
    case Call::kMakeDirectory: return "mkdir";
    case Call::kSyncDirectory: return "fsync-directory";
  }
  return "?";
}

[[noreturn]] void give_up(const std::string& what) {
  std::fprintf(stderr, "the simulator's own files: %s\n", what.c_str());
  std::abort();
}

}  // namespace

/// The database's file as base::Env opens it: dropping its cache shows LMDB too what the device has.
class DatabaseFile final : public base::File {
 public:
  DatabaseFile(Disk& disk, std::unique_ptr<base::File> file) : disk_(disk), file_(std::move(file)) {}
  const std::string& path() const override { return file_->path(); }
  base::Result<std::uint64_t> size() const override { return file_->size(); }
  base::Result<std::size_t> read_at(std::uint64_t offset, char* out, std::size_t length) override { return file_->read_at(offset, out, length); }
  base::Result<> write_at(std::uint64_t offset, std::string_view bytes) override { return file_->write_at(offset, bytes); }
  base::Result<> sync_data() override { return file_->sync_data(); }
  base::Result<> sync_all() override { return file_->sync_all(); }
  base::Result<> truncate(std::uint64_t size) override { return file_->truncate(size); }
  base::Result<> allocate(std::uint64_t size) override { return file_->allocate(size); }
  base::Result<> lock(bool wait) override { return file_->lock(wait); }
  base::Result<> drop_cache() override {
    ETCDPP_TRY(file_->drop_cache());
    disk_.restore_real_file(path());
    return {};
  }

 private:
  Disk& disk_;
  std::unique_ptr<base::File> file_;
};

Disk* Disk::active() { return the_disk; }

Disk::Disk(std::uint64_t seed, std::string directory, Trace& trace) : image_(seed), directory_(std::move(directory)), trace_(trace) {
  if (the_disk) give_up("two disks at once");
  std::filesystem::remove_all(directory_);
  std::filesystem::create_directories(directory_);
  // The directory itself is the machine's, long there.
  if (!image_.make_directories(directory_)) give_up(directory_);
  for (std::filesystem::path at = directory_; at != at.root_path(); at = at.parent_path())
    if (!image_.sync_directory(at.parent_path())) give_up(at);
  image_.on_call = [this](Call call, const std::string& path) { return on_call(call, path); };
  the_disk = this;
}

Disk::~Disk() {
  the_disk = nullptr;
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

std::optional<std::errc> Disk::on_call(Call call, const std::string& path) {
  if (call == Call::kRead || call == Call::kDropCache) return {};
  const std::uint64_t n = calls_++;
  std::string line(name_of(call));
  line += ' ';
  line += std::string_view(path).substr(std::min(path.size(), directory_.size()));
  if (n >= power_off_at_) off_ = true;
  const bool fails = n == fail_at_;
  failed_ |= fails;
  if (off_) line += ": no power";
  else if (fails) line += ": EIO";
  trace_.line(line);
  if (off_ || fails) return std::errc::io_error;
  return {};
}

bool Disk::is_database(const std::string& path) const {
  return path.ends_with("/data.lmdb") || path.ends_with("/data.lmdb.new");
}

base::Result<std::unique_ptr<base::File>> Disk::open(const std::string& path, base::OpenMode mode, unsigned permissions) {
  auto file = image_.open(path, mode, permissions);
  if (!file || !is_database(path)) return file;
  return std::unique_ptr<base::File>(std::make_unique<DatabaseFile>(*this, std::move(*file)));
}

// LMDB's lock file is its own affair: it is shared memory and says nothing after a restart.
bool Disk::exists(const std::string& path) {
  if (path.ends_with("-lock")) return std::filesystem::exists(path);
  return image_.exists(path);
}

base::Result<std::vector<std::string>> Disk::list(const std::string& directory) { return image_.list(directory); }

base::Result<> Disk::make_directories(const std::string& path, unsigned permissions) {
  ETCDPP_TRY(image_.make_directories(path, permissions));
  std::filesystem::create_directories(path);
  return {};
}

base::Result<> Disk::remove(const std::string& path) {
  if (!path.ends_with("-lock")) ETCDPP_TRY(image_.remove(path));
  if (is_database(path) || path.ends_with("-lock")) {
    forget(path);
    std::filesystem::remove(path);
  }
  return {};
}

// The number of an inode that goes may come again, for something else.
void Disk::forget(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) == 0) known_.erase(st.st_ino);
}

base::Result<> Disk::remove_tree(const std::string& path) { return image_.remove_tree(path); }

base::Result<> Disk::rename(const std::string& from, const std::string& to) {
  const bool lock = from.ends_with("-lock");
  if (!lock) ETCDPP_TRY(image_.rename(from, to));
  if (is_database(from) || lock) std::filesystem::rename(from, to);
  return {};
}

base::Result<> Disk::sync_directory(const std::string& path) { return image_.sync_directory(path); }

base::File* Disk::database(int descriptor) {
  struct stat st;
  if (::fstat(descriptor, &st) != 0 || !S_ISREG(st.st_mode)) return nullptr;
  const auto found = known_.find(st.st_ino);
  if (found != known_.end()) return found->second.get();
  char path[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  const ssize_t length = ::readlink(link.c_str(), path, sizeof path);
  if (length <= 0) return nullptr;
  const std::string name(path, static_cast<std::size_t>(length));
  auto& file = known_[st.st_ino];
  if (!name.starts_with(directory_) || !is_database(name)) return nullptr;
  // LMDB has opened it already.
  const auto on_call = std::exchange(image_.on_call, nullptr);
  auto opened = image_.open(name, base::OpenMode::kCreate, 0600);
  image_.on_call = on_call;
  if (!opened) give_up(opened.error().message());
  file = std::move(*opened);
  return file.get();
}

int Disk::write(base::File& file, int descriptor, const void* data, std::size_t size, std::uint64_t offset) {
  const std::string_view bytes(static_cast<const char*>(data), size);
  // Not the bytes: LMDB leaves two of each page's head as malloc gave them.
  trace_.bytes(std::to_string(offset) + ' ' + std::to_string(size));
  if (!file.write_at(offset, bytes)) return EIO;
  if (ignore_database_syncs_ || (::fcntl(descriptor, F_GETFL) & O_DSYNC) == 0) return 0;
  return file.sync_data() ? 0 : EIO;
}

int Disk::sync(base::File& file) {
  if (ignore_database_syncs_) return 0;
  return file.sync_data() ? 0 : EIO;
}

int Disk::resize(base::File& file, std::uint64_t size) { return file.truncate(size) ? 0 : EIO; }

void Disk::restart(Restart how, test::FaultEnv::Loss loss) {
  known_.clear();
  power_off_at_ = fail_at_ = UINT64_MAX;
  off_ = failed_ = false;
  if (how == Restart::kPowerLost) image_.crash(loss);
  else image_.kill();
  const std::string home = directory_ + "/data/member/etcdpp/";
  std::filesystem::remove_all(home);
  for (const char* name : {"data.lmdb", "data.lmdb.new"}) restore_real_file(home + name);
}

void Disk::restore_real_file(const std::string& path) {
  if (!image_.exists(path)) return;
  // What follows is not the server's doing.
  the_disk = nullptr;
  const auto on_call = std::exchange(image_.on_call, nullptr);
  auto file = image_.open(path, base::OpenMode::kReadOnly, 0600);
  if (!file) give_up(path);
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  const int real = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const std::uint64_t size = *(*file)->size();
  if (real < 0 || ::ftruncate(real, static_cast<off_t>(size)) != 0) give_up(path);
  static constexpr char kZeros[4096] = {};
  char page[4096];
  for (std::uint64_t at = 0; at < size; at += sizeof page) {
    const std::size_t got = *(*file)->read_at(at, page, sizeof page);
    if (std::equal(page, page + got, kZeros)) continue;
    if (::pwrite(real, page, got, static_cast<off_t>(at)) != static_cast<ssize_t>(got)) give_up(path);
  }
  ::close(real);
  image_.on_call = on_call;
  the_disk = this;
}

}  // namespace etcdpp::sim

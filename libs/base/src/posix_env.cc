#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include <etcdpp/base/env.h>

namespace etcdpp::base {

namespace {

class EnvCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "env"; }
  std::string message(int) const override { return "file is locked by another process"; }
};

class PosixFile final : public File {
 public:
  PosixFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;
  ~PosixFile() override { ::close(fd_); }

  const std::string& path() const override { return path_; }

  Result<std::uint64_t> size() const override {
    struct stat st;
    if (::fstat(fd_, &st) != 0) return fail("fstat");
    return static_cast<std::uint64_t>(st.st_size);
  }

  Result<std::size_t> read_at(std::uint64_t offset, char* out, std::size_t length) override {
    std::size_t done = 0;
    while (done < length) {
      const ssize_t n = ::pread(fd_, out + done, length - done, static_cast<off_t>(offset + done));
      if (n < 0) {
        if (errno == EINTR) continue;
        return fail("pread");
      }
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

  Result<> write_at(std::uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0) {
        if (errno == EINTR) continue;
        return fail("pwrite");
      }
      bytes.remove_prefix(static_cast<std::size_t>(n));
      offset += static_cast<std::uint64_t>(n);
    }
    return {};
  }

  Result<> sync_data() override { return check(::fdatasync(fd_), "fdatasync"); }
  Result<> sync_all() override { return check(::fsync(fd_), "fsync"); }
  Result<> truncate(std::uint64_t size) override { return check(::ftruncate(fd_, static_cast<off_t>(size)), "ftruncate"); }

  Result<> allocate(std::uint64_t size) override {
    int rc;
    do {
      rc = ::fallocate(fd_, 0, 0, static_cast<off_t>(size));
    } while (rc != 0 && errno == EINTR);
    if (rc == 0) return {};
    if (errno != EOPNOTSUPP && errno != ENOSYS) return fail("fallocate");
    struct stat st;
    if (::fstat(fd_, &st) != 0) return fail("fstat");
    if (static_cast<std::uint64_t>(st.st_size) >= size) return {};
    return truncate(size);
  }

  Result<> lock(bool wait) override {
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    int rc;
    do {
      rc = ::fcntl(fd_, wait ? F_OFD_SETLKW : F_OFD_SETLK, &whole);
    } while (rc != 0 && errno == EINTR);
    if (rc != 0 && errno == EINVAL) rc = ::flock(fd_, LOCK_EX | (wait ? 0 : LOCK_NB));
    if (rc == 0) return {};
    if (errno == EAGAIN || errno == EACCES) return Error(EnvErrc::kLocked, path_);
    return fail("lock");
  }

  Result<> drop_cache() override {
    const int rc = ::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED);
    if (rc != 0) return errno_error(rc, path_ + ": posix_fadvise");
    return {};
  }

  Result<std::uint64_t> next_data(std::uint64_t offset) override {
    const off_t found = ::lseek(fd_, static_cast<off_t>(offset), SEEK_DATA);
    if (found >= 0) return static_cast<std::uint64_t>(found);
    // ENXIO: nothing but a hole follows. Anything else: not known here.
    if (errno != ENXIO) return offset;
    auto end = size();
    if (end) *end = std::max(*end, offset);
    return end;
  }

 private:
  Error fail(const char* call) const { return errno_error(errno, path_ + ": " + call); }
  Result<> check(int rc, const char* call) const {
    if (rc != 0) return fail(call);
    return {};
  }

  std::string path_;
  int fd_;
};

class PosixEnv final : public Env {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode, unsigned permissions) override {
    int flags = O_CLOEXEC;
    switch (mode) {
      // Not waiting for the writer of a pipe that stands where a file should; reading it then fails.
      case OpenMode::kReadOnly: flags |= O_RDONLY | O_NONBLOCK | O_NOCTTY; break;
      case OpenMode::kReadWrite: flags |= O_RDWR; break;
      case OpenMode::kCreate: flags |= O_RDWR | O_CREAT; break;
      case OpenMode::kCreateTruncate: flags |= O_RDWR | O_CREAT | O_TRUNC; break;
      case OpenMode::kCreateNew: flags |= O_RDWR | O_CREAT | O_EXCL; break;
    }
    int fd;
    do {
      fd = ::open(path.c_str(), flags, permissions);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) return errno_error(errno, path);
    return std::unique_ptr<File>(std::make_unique<PosixFile>(path, fd));
  }

  bool exists(const std::string& path) override { return ::access(path.c_str(), F_OK) == 0; }

  Result<std::vector<std::string>> list(const std::string& directory) override {
    DIR* dir = ::opendir(directory.c_str());
    if (!dir) return errno_error(errno, directory);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(dir)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      errno = 0;
    }
    const int saved = errno;
    ::closedir(dir);
    if (saved != 0) return errno_error(saved, directory + ": readdir");
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<> make_directories(const std::string& path, unsigned permissions) override {
    for (std::size_t at = 0; at != std::string::npos;) {
      at = path.find('/', at + 1);
      const std::string part = path.substr(0, at);
      if (part.empty()) continue;
      if (::mkdir(part.c_str(), permissions) != 0 && errno != EEXIST) return errno_error(errno, part + ": mkdir");
    }
    struct stat st;
    if (::stat(path.c_str(), &st) != 0) return errno_error(errno, path);
    if (!S_ISDIR(st.st_mode)) return errno_error(ENOTDIR, path);
    return {};
  }

  Result<> remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return errno_error(errno, path + ": unlink");
    return {};
  }

  Result<> remove_tree(const std::string& path) override {
    std::error_code failed;
    std::filesystem::remove_all(path, failed);
    if (failed) return Error(failed, path);
    return {};
  }

  Result<> rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return errno_error(errno, from + " -> " + to + ": rename");
    return {};
  }

  Result<> sync_directory(const std::string& path) override {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno_error(errno, path);
    const int rc = ::fsync(fd);
    const int saved = errno;
    ::close(fd);
    if (rc != 0) return errno_error(saved, path + ": fsync");
    return {};
  }
};

}  // namespace

std::error_code make_error_code(EnvErrc e) {
  static const EnvCategory category;
  return {static_cast<int>(e), category};
}

Error errno_error(int saved_errno, std::string where) {
  return Error(std::error_code(saved_errno, std::generic_category()), std::move(where));
}

Env& posix_env() {
  static PosixEnv env;
  return env;
}

}  // namespace etcdpp::base

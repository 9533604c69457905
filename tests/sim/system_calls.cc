// The calls by which LMDB changes its file, as this executable defines them: a shared library's call to pwrite binds to
// the executable's first. What is not the active disk's database goes on to the C library.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

#include "disk.h"

namespace {

using etcdpp::sim::Disk;

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

etcdpp::base::File* database(int fd) {
  Disk* disk = Disk::active();
  return disk ? disk->database(fd) : nullptr;
}

int fail(int code) {
  errno = code;
  return -1;
}

}  // namespace

#define ETCDPP_EXPORTED __attribute__((visibility("default")))

extern "C" {

ETCDPP_EXPORTED ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
  if (auto* file = database(fd))
    if (const int code = Disk::active()->write(*file, fd, data, size, static_cast<std::uint64_t>(offset))) return fail(code);
  return real(fd, data, size, offset);
}

ETCDPP_EXPORTED ssize_t write(int fd, const void* data, size_t size) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t)>("write");
  if (auto* file = database(fd)) {
    const auto offset = static_cast<std::uint64_t>(::lseek(fd, 0, SEEK_CUR));
    if (const int code = Disk::active()->write(*file, fd, data, size, offset)) return fail(code);
  }
  return real(fd, data, size);
}

ETCDPP_EXPORTED ssize_t writev(int fd, const struct iovec* parts, int count) {
  static const auto real = next<ssize_t (*)(int, const struct iovec*, int)>("writev");
  if (auto* file = database(fd)) {
    auto offset = static_cast<std::uint64_t>(::lseek(fd, 0, SEEK_CUR));
    for (int i = 0; i < count; ++i) {
      if (const int code = Disk::active()->write(*file, fd, parts[i].iov_base, parts[i].iov_len, offset)) return fail(code);
      offset += parts[i].iov_len;
    }
  }
  return real(fd, parts, count);
}

ETCDPP_EXPORTED ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t offset) {
  static const auto real = next<ssize_t (*)(int, const struct iovec*, int, off_t)>("pwritev");
  if (auto* file = database(fd)) {
    auto at = static_cast<std::uint64_t>(offset);
    for (int i = 0; i < count; ++i) {
      if (const int code = Disk::active()->write(*file, fd, parts[i].iov_base, parts[i].iov_len, at)) return fail(code);
      at += parts[i].iov_len;
    }
  }
  return real(fd, parts, count, offset);
}

// The real file is only what LMDB maps, so it is never synced.
ETCDPP_EXPORTED int fdatasync(int fd) {
  static const auto real = next<int (*)(int)>("fdatasync");
  auto* file = database(fd);
  if (!file) return real(fd);
  const int code = Disk::active()->sync(*file);
  return code ? fail(code) : 0;
}

ETCDPP_EXPORTED int fsync(int fd) {
  static const auto real = next<int (*)(int)>("fsync");
  auto* file = database(fd);
  if (!file) return real(fd);
  const int code = Disk::active()->sync(*file);
  return code ? fail(code) : 0;
}

ETCDPP_EXPORTED int ftruncate(int fd, off_t size) noexcept {
  static const auto real = next<int (*)(int, off_t)>("ftruncate");
  if (auto* file = database(fd))
    if (const int code = Disk::active()->resize(*file, static_cast<std::uint64_t>(size))) return fail(code);
  return real(fd, size);
}

// LMDB would write through its map only with MDB_WRITEMAP, which the house forbids: the simulator would not see it.
ETCDPP_EXPORTED int msync(void* at, size_t size, int flags) {
  static const auto real = next<int (*)(void*, size_t, int)>("msync");
  if (Disk::active()) return fail(ENOTSUP);
  return real(at, size, flags);
}

}  // extern "C"

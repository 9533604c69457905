#include "memory_lock.h"

#include <cerrno>

#include <sys/mman.h>

namespace etcdpp::server {

base::Result<> lock_memory() {
  const auto refuse = [](int why) {
    return base::errno_error(why, "--memory-mlock: memory cannot be locked; give the process CAP_IPC_LOCK or `ulimit -l unlimited`");
  };
  if (::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0) return refuse(errno);
  // The database maps address space for all that it may ever grow to, and all of it counts.
  constexpr std::size_t kLikeADatabase = std::size_t{1} << 40;
  void* probe = ::mmap(nullptr, kLikeADatabase, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (probe == MAP_FAILED) {
    const int why = errno;
    ::munlockall();
    return refuse(why);
  }
  ::munmap(probe, kLikeADatabase);
  return {};
}

}  // namespace etcdpp::server

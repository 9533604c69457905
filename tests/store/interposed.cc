// Where fibers meet: these definitions of the executable come before those of the libraries, for the libraries too.
#include <dlfcn.h>
#include <errno.h>
#include <lmdb.h>
#include <pthread.h>
#include <unistd.h>

#include "fibers.h"

using etcdpp::store_test::Fibers;

namespace {

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

#define ETCDPP_EXPORTED __attribute__((visibility("default")))

// A call with a point before and behind it.
#define ETCDPP_POINTS(result, name, parameters, arguments)       \
  extern "C" ETCDPP_EXPORTED result name parameters {            \
    static const auto real = next<result(*) parameters>(#name);  \
    Fibers::point();                                             \
    const auto out = real arguments;                             \
    Fibers::point();                                             \
    return out;                                                  \
  }

extern "C" {

ETCDPP_EXPORTED int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  static const auto real = next<int (*)(pthread_mutex_t*)>("pthread_mutex_lock");
  if (!Fibers::in_fiber()) return real(mutex);
  Fibers::point();
  for (;;) {
    const int code = ::pthread_mutex_trylock(mutex);
    if (code != EBUSY) return code;
    Fibers::wait();
  }
}

ETCDPP_EXPORTED int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
  static const auto real = next<int (*)(pthread_mutex_t*)>("pthread_mutex_unlock");
  const int code = real(mutex);
  Fibers::point();
  return code;
}

ETCDPP_EXPORTED void mdb_txn_reset(MDB_txn* txn) {
  static const auto real = next<void (*)(MDB_txn*)>("mdb_txn_reset");
  Fibers::point();
  real(txn);
  Fibers::point();
}

}  // extern "C"

ETCDPP_POINTS(int, mdb_txn_begin, (MDB_env * env, MDB_txn* parent, unsigned flags, MDB_txn** txn), (env, parent, flags, txn))
ETCDPP_POINTS(int, mdb_txn_renew, (MDB_txn * txn), (txn))
ETCDPP_POINTS(int, mdb_txn_commit, (MDB_txn * txn), (txn))
ETCDPP_POINTS(int, mdb_get, (MDB_txn * txn, MDB_dbi dbi, MDB_val* key, MDB_val* data), (txn, dbi, key, data))
ETCDPP_POINTS(int, mdb_cursor_get, (MDB_cursor * cursor, MDB_val* key, MDB_val* data, MDB_cursor_op op), (cursor, key, data, op))
ETCDPP_POINTS(int, mdb_cursor_put, (MDB_cursor * cursor, MDB_val* key, MDB_val* data, unsigned flags), (cursor, key, data, flags))
ETCDPP_POINTS(int, mdb_del, (MDB_txn * txn, MDB_dbi dbi, MDB_val* key, MDB_val* data), (txn, dbi, key, data))
ETCDPP_POINTS(ssize_t, pwrite, (int fd, const void* data, size_t size, off_t offset), (fd, data, size, offset))
ETCDPP_POINTS(int, fdatasync, (int fd), (fd))

#if defined(__SANITIZE_THREAD__)
// Fibers share what belongs to a thread: whose call of LMDB a fault is, which here is nobody's question.
extern "C" ETCDPP_EXPORTED const char* __tsan_default_suppressions() { return "race:etcdpp::backend::EngineCall\n"; }
#endif

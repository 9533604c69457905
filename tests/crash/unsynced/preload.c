/* LD_PRELOAD for a server under test: notes in a journal (journal.h) what each call is about to overwrite below
   ETCDPP_CRASH_DIR, and which syncs have returned. lose_unsynced takes back what was not synced. It costs the server a
   read for each write, and no durability: calls are passed on as they are.

   Files that are mapped and never synced (locks) are left out. One writer at a time for each file, as the server has it. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "journal.h"

#define REAL(name) ((__typeof__(&name))real(#name))
#define MAX_FILES 65536

static char data_dir[PATH_MAX];
static char home[PATH_MAX + 16];
static struct journal_header *journal;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* over the end of the journal */
static uint64_t known[MAX_FILES]; /* inodes with a link in `home`: they stay what they are; 0: free */

static void *real(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (!found) abort();
  return found;
}

static void give_up(const char *what) {
  fprintf(stderr, "unsynced_preload: %s: %s\n", what, strerror(errno));
  abort();
}

__attribute__((constructor)) static void begin(void) {
  const char *dir = getenv("ETCDPP_CRASH_DIR");
  if (!dir || !*dir) return;
  snprintf(data_dir, sizeof data_dir, "%s", dir);
  snprintf(home, sizeof home, "%s.unsynced", dir);
  if (mkdir(home, 0700) != 0 && errno != EEXIST) give_up(home);
  /* What an earlier process left is no longer asked for. */
  DIR *old = opendir(home);
  if (!old) give_up(home);
  for (struct dirent *entry; (entry = readdir(old));)
    if (entry->d_name[0] != '.') unlinkat(dirfd(old), entry->d_name, 0);
  closedir(old);
  char path[PATH_MAX + 32];
  snprintf(path, sizeof path, "%s/journal", home);
  const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0 || REAL(ftruncate)(fd, JOURNAL_CAPACITY) != 0) give_up(path);
  void *at = mmap(NULL, JOURNAL_CAPACITY, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) give_up(path);
  close(fd);
  ((struct journal_header *)at)->magic = JOURNAL_MAGIC;
  journal = at;
}

/* --- records ---------------------------------------------------------------------------------------------------- */

static uint64_t position(void) { return __atomic_load_n(&journal->used, __ATOMIC_ACQUIRE); }

/* Opens the next record; it counts from close_record() on, so that a process that dies in between leaves no hole. */
static struct journal_record *open_record(uint32_t kind, uint64_t file, size_t payload) {
  const size_t size = (sizeof(struct journal_record) + payload + 7) / 8 * 8;
  pthread_mutex_lock(&mutex);
  if (sizeof *journal + journal->used + size > JOURNAL_CAPACITY) {
    errno = ENOSPC;
    give_up("journal");
  }
  struct journal_record *record = (struct journal_record *)((char *)(journal + 1) + journal->used);
  memset(record, 0, sizeof *record);
  record->kind = kind;
  record->file = file;
  record->payload_size = (uint32_t)payload;
  record->size = (uint32_t)size;
  return record;
}

static void close_record(const struct journal_record *record) {
  __atomic_store_n(&journal->used, journal->used + record->size, __ATOMIC_RELEASE);
  pthread_mutex_unlock(&mutex);
}

static char *payload_of(struct journal_record *record) { return (char *)(record + 1); }
/* The call that the record announces has been made. */
static void confirm(struct journal_record *record) { __atomic_store_n(&record->ready, 1, __ATOMIC_RELEASE); }
static void publish(struct journal_record *record) {
  confirm(record);
  close_record(record);
}
static uint64_t place_of(const struct journal_record *record) {
  return (uint64_t)((const char *)record - (const char *)(journal + 1));
}

/* --- which files ------------------------------------------------------------------------------------------------ */

static int is_below(const char *path) {
  const size_t n = strlen(data_dir);
  if (strncmp(path, data_dir, n) != 0 || path[n] != '/') return 0;
  const size_t length = strlen(path);
  return length < 5 || strcmp(path + length - 4, "lock") != 0;
}

static uint64_t *slot_of(uint64_t inode) {
  for (uint64_t i = inode * 0x9e3779b97f4a7c15ULL >> 48;; i = (i + 1) % MAX_FILES) {
    const uint64_t there = __atomic_load_n(&known[i % MAX_FILES], __ATOMIC_ACQUIRE);
    if (there == 0 || there == inode) return &known[i % MAX_FILES];
  }
}

/* The file's inode if its changes count, else 0; its size before the call. */
static uint64_t tracked(int fd, uint64_t *size) {
  struct stat st;
  const int saved = errno;
  if (!journal || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    errno = saved;
    return 0;
  }
  *size = (uint64_t)st.st_size;
  uint64_t *slot = slot_of(st.st_ino);
  if (__atomic_load_n(slot, __ATOMIC_ACQUIRE) == st.st_ino) return st.st_ino;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0 || st.st_nlink == 0) return 0;
  path[length] = 0;
  if (!is_below(path)) return 0;
  char name[PATH_MAX + 64];
  snprintf(name, sizeof name, "%s/f%llu", home, (unsigned long long)st.st_ino);
  if (linkat(AT_FDCWD, path, AT_FDCWD, name, 0) != 0 && errno != EEXIST) give_up(path);
  __atomic_store_n(slot, st.st_ino, __ATOMIC_RELEASE);
  errno = saved;
  return st.st_ino;
}

/* Reading needs a descriptor of its own: the caller's may be for writing only. */
static void read_before(uint64_t inode, char *out, uint64_t offset, uint64_t length) {
  char name[PATH_MAX + 64];
  snprintf(name, sizeof name, "%s/f%llu", home, (unsigned long long)inode);
  const int fd = open(name, O_RDONLY | O_CLOEXEC);
  if (fd < 0) give_up(name);
  for (uint64_t done = 0; done < length;) {
    const ssize_t n = pread(fd, out + done, length - done, (off_t)(offset + done));
    if (n < 0) give_up(name);
    if (n == 0) break; /* the journal is zeros from the start */
    done += (uint64_t)n;
  }
  close(fd);
}

static struct journal_record *before_write(int fd, uint64_t offset, uint64_t length) {
  uint64_t size;
  const uint64_t inode = tracked(fd, &size);
  if (inode == 0 || length == 0) return NULL;
  const uint64_t from = offset / JOURNAL_SECTOR * JOURNAL_SECTOR;
  const uint64_t to = (offset + length + JOURNAL_SECTOR - 1) / JOURNAL_SECTOR * JOURNAL_SECTOR;
  struct journal_record *record = open_record(JOURNAL_WRITE, inode, to - from);
  record->offset = from;
  record->length = to - from;
  record->old_size = size;
  read_before(inode, payload_of(record), from, to - from);
  publish(record);
  return record;
}

static void after_write(int fd, struct journal_record *record) {
  if (!record || (fcntl(fd, F_GETFL) & O_DSYNC) == 0) return;
  struct journal_record *sync = open_record(JOURNAL_SYNC_ONE, record->file, 0);
  sync->through = place_of(record);
  publish(sync);
}

static void before_resize(int fd, uint64_t size) {
  uint64_t old;
  const uint64_t inode = tracked(fd, &old);
  if (inode == 0 || size == old) return;
  /* What is cut off: block by block, since most of a preallocated tail is zeros. */
  char block[4096];
  static const char zeros[sizeof block];
  char name[PATH_MAX + 64];
  snprintf(name, sizeof name, "%s/f%llu", home, (unsigned long long)inode);
  const int in = size < old ? open(name, O_RDONLY | O_CLOEXEC) : -1;
  for (uint64_t at = size / sizeof block * sizeof block; at < old && in >= 0; at += sizeof block) {
    memset(block, 0, sizeof block);
    if (pread(in, block, sizeof block, (off_t)at) < 0) give_up(name);
    if (memcmp(block, zeros, sizeof block) == 0) continue;
    struct journal_record *record = open_record(JOURNAL_WRITE, inode, sizeof block);
    record->offset = at;
    record->length = sizeof block;
    record->old_size = old;
    memcpy(payload_of(record), block, sizeof block);
    publish(record);
  }
  if (in >= 0) close(in);
  struct journal_record *record = open_record(JOURNAL_SIZE, inode, 0);
  record->old_size = old;
  publish(record);
}

static int note_sync(int (*sync)(int), int fd) {
  uint64_t size;
  struct stat st;
  const uint64_t inode = tracked(fd, &size);
  const uint64_t through = journal ? position() : 0;
  const int result = sync(fd);
  if (result != 0 || !journal) return result;
  if (inode != 0) {
    struct journal_record *record = open_record(JOURNAL_SYNC, inode, 0);
    record->through = through;
    publish(record);
  } else if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(link, path, sizeof path);
    if (length <= 0) return result;
    struct journal_record *record = open_record(JOURNAL_SYNC_NAMES, 0, (size_t)length);
    memcpy(payload_of(record), path, (size_t)length);
    record->through = through;
    publish(record);
  }
  return result;
}

static struct journal_record *name_record(uint32_t kind, uint64_t inode, const char *first, const char *second) {
  const size_t length = strlen(first), more = second ? 1 + strlen(second) : 0;
  struct journal_record *record = open_record(kind, inode, length + more);
  memcpy(payload_of(record), first, length);
  if (second) memcpy(payload_of(record) + length + 1, second, more - 1);
  return record;
}

/* Keeps a regular file that is about to lose its name; 0: there is none. */
static uint64_t keep(const char *path) {
  struct stat st;
  if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode)) return 0;
  char name[PATH_MAX + 64];
  snprintf(name, sizeof name, "%s/f%llu", home, (unsigned long long)st.st_ino);
  if (link(path, name) != 0 && errno != EEXIST) give_up(path);
  __atomic_store_n(slot_of(st.st_ino), st.st_ino, __ATOMIC_RELEASE);
  return st.st_ino;
}

/* --- the calls -------------------------------------------------------------------------------------------------- */

ssize_t write(int fd, const void *data, size_t size) {
  static ssize_t (*next)(int, const void *, size_t);
  if (!next) next = REAL(write);
  struct journal_record *record = journal ? before_write(fd, (uint64_t)lseek(fd, 0, SEEK_CUR), size) : NULL;
  const ssize_t result = next(fd, data, size);
  after_write(fd, record);
  return result;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
  static ssize_t (*next)(int, const void *, size_t, off_t);
  if (!next) next = REAL(pwrite);
  struct journal_record *record = before_write(fd, (uint64_t)offset, size);
  const ssize_t result = next(fd, data, size, offset);
  after_write(fd, record);
  return result;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset) { return pwrite(fd, data, size, offset); }

static size_t total(const struct iovec *parts, int count) {
  size_t sum = 0;
  for (int i = 0; i < count; ++i) sum += parts[i].iov_len;
  return sum;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  static ssize_t (*next)(int, const struct iovec *, int);
  if (!next) next = REAL(writev);
  struct journal_record *record = journal ? before_write(fd, (uint64_t)lseek(fd, 0, SEEK_CUR), total(parts, count)) : NULL;
  const ssize_t result = next(fd, parts, count);
  after_write(fd, record);
  return result;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  static ssize_t (*next)(int, const struct iovec *, int, off_t);
  if (!next) next = REAL(pwritev);
  struct journal_record *record = before_write(fd, (uint64_t)offset, total(parts, count));
  const ssize_t result = next(fd, parts, count, offset);
  after_write(fd, record);
  return result;
}

int fdatasync(int fd) {
  static int (*next)(int);
  if (!next) next = REAL(fdatasync);
  return note_sync(next, fd);
}

int fsync(int fd) {
  static int (*next)(int);
  if (!next) next = REAL(fsync);
  return note_sync(next, fd);
}

int ftruncate(int fd, off_t size) {
  static int (*next)(int, off_t);
  if (!next) next = REAL(ftruncate);
  before_resize(fd, (uint64_t)size);
  return next(fd, size);
}

int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

/* With mode 0 only the size may change. */
int fallocate(int fd, int mode, off_t offset, off_t length) {
  static int (*next)(int, int, off_t, off_t);
  if (!next) next = REAL(fallocate);
  struct stat st;
  if (mode == 0 && fstat(fd, &st) == 0 && offset + length > st.st_size) before_resize(fd, (uint64_t)(offset + length));
  return next(fd, mode, offset, length);
}

int fallocate64(int fd, int mode, off_t offset, off_t length) { return fallocate(fd, mode, offset, length); }

static int note_open(const char *path, int flags, mode_t mode) {
  static int (*next)(const char *, int, ...);
  if (!next) next = REAL(open);
  const int counts = journal && (flags & O_CREAT) != 0 && is_below(path);
  const int existed = counts && access(path, F_OK) == 0;
  if (existed && (flags & O_TRUNC) != 0) {
    const int old = next(path, O_RDWR | O_CLOEXEC, 0);
    if (old >= 0) {
      before_resize(old, 0);
      close(old);
    }
  }
  const int saved = errno;
  const int fd = next(path, flags, mode);
  if (fd < 0) return fd;
  errno = saved;
  if (counts && !existed) publish(name_record(JOURNAL_CREATE, 0, path, NULL));
  return fd;
}

int open(const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  return note_open(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  return note_open(path, flags, mode);
}

int rename(const char *from, const char *to) {
  static int (*next)(const char *, const char *);
  if (!next) next = REAL(rename);
  struct journal_record *record = NULL;
  if (journal && is_below(from)) close_record(record = name_record(JOURNAL_RENAME, keep(to), from, to));
  const int result = next(from, to);
  if (result == 0 && record) confirm(record);
  return result;
}

int unlink(const char *path) {
  static int (*next)(const char *);
  if (!next) next = REAL(unlink);
  struct journal_record *record = NULL;
  if (journal && is_below(path)) {
    const uint64_t inode = keep(path);
    if (inode != 0) close_record(record = name_record(JOURNAL_UNLINK, inode, path, NULL));
  }
  const int result = next(path);
  if (result == 0 && record) confirm(record);
  return result;
}

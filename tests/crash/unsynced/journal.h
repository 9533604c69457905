#pragma once

/* What a process has changed below its data directory, for whoever comes after its end: written by preload.c into
   a file that is mapped by both, so that SIGKILL loses none of it; read by lose_unsynced.cc.

   Beside <data directory> lies <data directory>.unsynced/ with `journal` and, for each file that was changed, a hard link
   f<inode>. The journal is a header and then records, 8-byte aligned, in the order of the calls. */
#include <stdint.h>

#define JOURNAL_MAGIC 0x756e73796e636564ULL
#define JOURNAL_CAPACITY (1ULL << 30) /* sparse */
#define JOURNAL_SECTOR 512ULL

struct journal_header {
  uint64_t magic;
  uint64_t used; /* bytes of whole records behind the header */
};

enum journal_kind {
  JOURNAL_WRITE = 1,      /* payload: what [offset, offset + length) held, whole sectors, zeros where there was no file */
  JOURNAL_SIZE = 2,       /* the file had old_size before this call */
  JOURNAL_SYNC = 3,       /* everything of the file before `through` is on disk */
  JOURNAL_SYNC_ONE = 4,   /* the record at `through` is (O_DSYNC) */
  JOURNAL_CREATE = 5,     /* payload: path */
  JOURNAL_RENAME = 6,     /* payload: from, NUL, to; file: what `to` named before, or 0 */
  JOURNAL_UNLINK = 7,     /* payload: path; file: what it named */
  JOURNAL_SYNC_NAMES = 8, /* payload: directory; the names in it before `through` are on disk */
};

struct journal_record {
  uint32_t size; /* with payload and padding */
  uint32_t kind;
  uint32_t ready; /* 0: the call that it announces was perhaps never made */
  uint32_t payload_size;
  uint64_t file; /* inode */
  uint64_t offset;
  uint64_t length;
  uint64_t old_size;
  uint64_t through;
};

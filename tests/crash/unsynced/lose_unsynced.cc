// lose_unsynced <data directory> <seed>: after the end of a process that ran with unsynced_preload, takes back a choice of
// what it had not synced, as a power loss would. A sector keeps the bytes of some prefix of its unsynced writes, a file
// some prefix of the changes of its size, the directory some prefix of the changes of names. Says what it took.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <etcdpp/base/random.h>

#include "journal.h"

namespace {

namespace fs = std::filesystem;

[[noreturn]] void give_up(const std::string& what) {
  std::fprintf(stderr, "lose_unsynced: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

struct Placed {
  std::uint64_t at;
  const journal_record* record;
  std::string_view payload() const { return {reinterpret_cast<const char*>(record + 1), record->payload_size}; }
};

std::vector<Placed> read_journal(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) give_up(path);
  void* mapped = ::mmap(nullptr, JOURNAL_CAPACITY, PROT_READ, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) give_up(path);
  ::close(fd);
  const auto* header = static_cast<const journal_header*>(mapped);
  std::vector<Placed> records;
  if (header->magic != JOURNAL_MAGIC) return records;  // the process ended before it began
  for (std::uint64_t at = 0; at < header->used;) {
    const auto* record = reinterpret_cast<const journal_record*>(reinterpret_cast<const char*>(header + 1) + at);
    if (record->ready) records.push_back({at, record});
    at += record->size;
  }
  return records;
}

/// What disks do: a mostly-kept, mostly-lost or even mixture, or everything up to a point.
class Choice {
 public:
  explicit Choice(std::uint64_t seed) : random_(seed), style_(random_.below(4)) {}
  /// How many of `n` changes of one thing are kept.
  std::size_t kept(std::size_t n) {
    std::size_t k = 0;
    while (k < n && random_.below(8) < (style_ == 0 ? 0u : style_ == 1 ? 2u : style_ == 2 ? 4u : 7u)) ++k;
    return k;
  }

 private:
  etcdpp::base::Random random_;
  const std::uint64_t style_;
};

struct File {
  std::uint64_t synced_through = 0;
  std::vector<std::uint64_t> synced_alone;
  std::vector<Placed> pending;
};

/// Names first in order, then taken back from the newest.
std::size_t lose_names(const std::string& home, const std::vector<Placed>& records, Choice& choice, std::size_t& pending) {
  std::map<std::string, std::uint64_t> synced;
  for (const Placed& p : records)
    if (p.record->kind == JOURNAL_SYNC_NAMES) synced[std::string(p.payload())] = p.record->through;
  const auto is_synced = [&](const Placed& p, std::string_view path) {
    const auto found = synced.find(fs::path(path).parent_path().string());
    return found != synced.end() && p.at < found->second;
  };
  std::vector<Placed> changes;
  for (const Placed& p : records) {
    const std::string_view path = p.payload();
    switch (p.record->kind) {
      case JOURNAL_CREATE:
      case JOURNAL_UNLINK:
        if (!is_synced(p, path)) changes.push_back(p);
        break;
      case JOURNAL_RENAME:
        if (!is_synced(p, path.substr(path.find('\0') + 1))) changes.push_back(p);
        break;
      default: break;
    }
  }
  pending = changes.size();
  const std::size_t kept = choice.kept(changes.size());
  for (std::size_t i = changes.size(); i > kept; --i) {
    const Placed& p = changes[i - 1];
    const std::string text(p.payload());
    const std::string held = home + "/f" + std::to_string(p.record->file);
    switch (p.record->kind) {
      case JOURNAL_CREATE:
        std::printf("name %s is gone\n", text.c_str());
        ::unlink(text.c_str());
        break;
      case JOURNAL_UNLINK:
        std::printf("name %s is back\n", text.c_str());
        if (::link(held.c_str(), text.c_str()) != 0 && errno != EEXIST) give_up(text);
        break;
      case JOURNAL_RENAME: {
        const std::string from = text.substr(0, text.find('\0'));
        const std::string to = text.substr(text.find('\0') + 1);
        std::printf("name %s is %s again\n", to.c_str(), from.c_str());
        if (::rename(to.c_str(), from.c_str()) != 0) give_up(to);
        if (p.record->file != 0 && ::link(held.c_str(), to.c_str()) != 0) give_up(to);
        break;
      }
      default: break;
    }
  }
  return changes.size() - kept;
}

std::string name_of(const std::string& data_dir, std::uint64_t inode) {
  std::error_code ignored;
  for (const auto& entry : fs::recursive_directory_iterator(data_dir, ignored)) {
    struct stat st;
    if (::stat(entry.path().c_str(), &st) == 0 && st.st_ino == inode) return entry.path().string();
  }
  return "a file without a name";
}

/// Returns how many sectors went.
std::size_t lose_bytes(const std::string& data_dir, const std::string& home, std::uint64_t inode, const File& file, Choice& choice,
                       std::size_t& pending) {
  const std::string path = home + "/f" + std::to_string(inode);
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) give_up(path);
  struct stat st;
  if (::fstat(fd, &st) != 0) give_up(path);

  // By sector, oldest first: what it held before each write.
  std::map<std::uint64_t, std::vector<const char*>> sectors;
  std::vector<std::uint64_t> sizes;
  for (const Placed& p : file.pending) {
    const auto& r = *p.record;
    sizes.push_back(r.old_size);
    for (std::uint64_t at = 0; r.kind == JOURNAL_WRITE && at < r.length; at += JOURNAL_SECTOR)
      sectors[r.offset + at].push_back(p.payload().data() + at);
  }
  pending = sectors.size();
  std::size_t lost = 0;
  std::uint64_t first = UINT64_MAX, last = 0;
  for (const auto& [offset, before] : sectors) {
    const std::size_t kept = choice.kept(before.size());
    if (kept == before.size()) continue;
    ++lost;
    first = std::min(first, offset);
    last = std::max(last, offset);
    if (::pwrite(fd, before[kept], JOURNAL_SECTOR, static_cast<off_t>(offset)) != static_cast<ssize_t>(JOURNAL_SECTOR)) give_up(path);
  }
  // Sizes that did not change are no changes.
  sizes.push_back(static_cast<std::uint64_t>(st.st_size));
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  const std::uint64_t size = sizes[choice.kept(sizes.size() - 1)];
  if (::ftruncate(fd, static_cast<off_t>(size)) != 0) give_up(path);
  ::close(fd);
  if (lost != 0 || size != static_cast<std::uint64_t>(st.st_size))
    std::printf("%s: %zu of %zu unsynced sectors lost, between %llu and %llu; size %llu, was %llu\n", name_of(data_dir, inode).c_str(), lost,
                pending, static_cast<unsigned long long>(lost ? first : 0), static_cast<unsigned long long>(lost ? last + JOURNAL_SECTOR : 0),
                static_cast<unsigned long long>(size), static_cast<unsigned long long>(st.st_size));
  return lost;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: lose_unsynced <data directory> <seed>\n");
    return 2;
  }
  const std::string data_dir = argv[1];
  const std::string home = data_dir + ".unsynced";
  Choice choice(std::strtoull(argv[2], nullptr, 10));
  const std::vector<Placed> records = read_journal(home + "/journal");

  std::map<std::uint64_t, File> files;
  for (const Placed& p : records) {
    if (p.record->kind == JOURNAL_SYNC) files[p.record->file].synced_through = p.record->through;
    if (p.record->kind == JOURNAL_SYNC_ONE) files[p.record->file].synced_alone.push_back(p.record->through);
  }
  for (const Placed& p : records) {
    if (p.record->kind != JOURNAL_WRITE && p.record->kind != JOURNAL_SIZE) continue;
    File& file = files[p.record->file];
    if (p.at >= file.synced_through && std::ranges::find(file.synced_alone, p.at) == file.synced_alone.end()) file.pending.push_back(p);
  }
  std::size_t lost = 0, unsynced = 0, pending = 0;
  for (const auto& [inode, file] : files) {
    if (file.pending.empty()) continue;
    lost += lose_bytes(data_dir, home, inode, file, choice, pending);
    unsynced += pending;
  }
  std::size_t names = 0;
  const std::size_t names_lost = lose_names(home, records, choice, names);
  std::printf("lost %zu of %zu unsynced sectors and %zu of %zu unsynced names\n", lost, unsynced, names_lost, names);
  fs::remove_all(home);
}

#include "fault_env.h"

#include <algorithm>
#include <array>
#include <set>

namespace etcdpp::test {

using base::Error;
using base::Result;

namespace {

constexpr std::uint64_t kPageSize = 4096;
constexpr std::uint64_t kSectorSize = 512;
using Page = std::array<char, kPageSize>;

Error failure(std::errc code, const std::string& where) { return Error(std::make_error_code(code), where); }

// A sparse file; pages are shared between images until one of them is written.
struct Image {
  std::map<std::uint64_t, std::shared_ptr<Page>> pages;
  std::uint64_t size = 0;

  Page& own(std::uint64_t number) {
    auto& page = pages[number];
    if (!page) page = std::make_shared<Page>(Page{});
    else if (page.use_count() > 1) page = std::make_shared<Page>(*page);
    return *page;
  }
  // Does not move the size.
  void put(std::uint64_t offset, std::string_view bytes) {
    while (!bytes.empty()) {
      const std::uint64_t in_page = offset % kPageSize;
      const std::size_t n = std::min<std::size_t>(bytes.size(), kPageSize - in_page);
      std::copy_n(bytes.data(), n, own(offset / kPageSize).data() + in_page);
      offset += n;
      bytes.remove_prefix(n);
    }
  }
  std::size_t get(std::uint64_t offset, char* out, std::size_t length) const {
    if (offset >= size) return 0;
    length = static_cast<std::size_t>(std::min<std::uint64_t>(length, size - offset));
    for (std::size_t done = 0; done < length;) {
      const std::uint64_t at = offset + done;
      const std::size_t n = std::min<std::size_t>(length - done, kPageSize - at % kPageSize);
      const auto page = pages.find(at / kPageSize);
      if (page == pages.end()) std::fill_n(out + done, n, '\0');
      else std::copy_n(page->second->data() + at % kPageSize, n, out + done);
      done += n;
    }
    return length;
  }
  void cut(std::uint64_t new_size) {
    pages.erase(pages.lower_bound((new_size + kPageSize - 1) / kPageSize), pages.end());
    if (new_size % kPageSize != 0 && pages.contains(new_size / kPageSize)) {
      Page& last = own(new_size / kPageSize);
      std::fill(last.begin() + static_cast<std::ptrdiff_t>(new_size % kPageSize), last.end(), '\0');
    }
    size = new_size;
  }
  void copy_sector(const Image& from, std::uint64_t sector) {
    std::array<char, kSectorSize> bytes{};
    const auto page = from.pages.find(sector * kSectorSize / kPageSize);
    if (page != from.pages.end())
      std::copy_n(page->second->data() + sector * kSectorSize % kPageSize, kSectorSize, bytes.data());
    put(sector * kSectorSize, {bytes.data(), bytes.size()});
  }
};

// Something done to a file since its last sync.
struct Change {
  std::uint64_t offset = 0;
  std::string bytes;                      // a write
  std::optional<std::uint64_t> new_size;  // a change of the size, beside the write or alone
  bool shrinks = false;
  bool lost = false;  // its sync failed
};

}  // namespace

struct FaultEnv::Node {
  bool is_directory = false;
  // A directory's names: as seen, and as on disk.
  std::map<std::string, NodePtr> names;
  std::map<std::string, NodePtr> durable_names;
  // A file's bytes: as seen, and as on disk, and what lies between.
  Image image;
  Image durable;
  std::vector<Change> changes;
  const void* locked_by = nullptr;

  void write(std::uint64_t offset, std::string_view bytes) {
    if (bytes.empty()) return;
    Change change{offset, std::string(bytes), {}, false, false};
    image.put(offset, bytes);
    if (offset + bytes.size() > image.size) {
      image.size = offset + bytes.size();
      change.new_size = image.size;
    }
    changes.push_back(std::move(change));
  }
  void resize(std::uint64_t size) {
    const bool shrinks = size < image.size;
    if (shrinks) image.cut(size);
    else image.size = size;
    changes.push_back({0, {}, size, shrinks, false});
  }
  template <typename Do>
  static void each_sector(const Change& change, Do&& act) {
    if (change.bytes.empty()) return;
    for (std::uint64_t s = change.offset / kSectorSize; s <= (change.offset + change.bytes.size() - 1) / kSectorSize; ++s) act(s);
  }
  void sync() {
    const bool any_lost = std::any_of(changes.begin(), changes.end(), [](const Change& c) { return c.lost; });
    const bool shrinks = std::any_of(changes.begin(), changes.end(), [](const Change& c) { return c.shrinks; });
    if (any_lost) {
      sync_around_lost();
      return;
    }
    if (shrinks) {
      durable = image;
    } else {
      for (const Change& change : changes) {
        if (change.bytes.empty()) continue;
        for (std::uint64_t p = change.offset / kPageSize; p <= (change.offset + change.bytes.size() - 1) / kPageSize; ++p)
          durable.pages[p] = image.pages[p];
      }
      durable.size = image.size;
    }
    changes.clear();
  }
  // Covers only sectors written, and sizes set, after the failure; those take what was lost in them along.
  void sync_around_lost() {
    std::set<std::uint64_t> covered;
    bool size_covered = false;
    for (const Change& change : changes) {
      if (change.lost) continue;
      each_sector(change, [&](std::uint64_t s) { covered.insert(s); });
      // Bytes that are on disk are inside the file, also where the change of the size was lost.
      if (!change.bytes.empty()) durable.size = std::max(durable.size, std::min(change.offset + change.bytes.size(), image.size));
      if (change.shrinks) durable.cut(std::min(durable.size, *change.new_size));
      size_covered |= change.new_size.has_value();
    }
    for (const std::uint64_t s : covered) durable.copy_sector(image, s);
    if (size_covered) durable.size = image.size;
    std::erase_if(changes, [&](const Change& c) {
      return !c.lost || (c.bytes.empty() ? size_covered : covered.contains(c.offset / kSectorSize));
    });
  }
  void fail_sync() {
    std::vector<Change> pieces;  // of one sector or one size each
    for (const Change& change : changes) {
      each_sector(change, [&](std::uint64_t s) {
        const std::uint64_t from = std::max(change.offset, s * kSectorSize);
        const std::uint64_t to = std::min(change.offset + change.bytes.size(), (s + 1) * kSectorSize);
        pieces.push_back({from, change.bytes.substr(from - change.offset, to - from), {}, false, true});
      });
      if (change.new_size) pieces.push_back({0, {}, change.new_size, change.shrinks, true});
    }
    changes = std::move(pieces);
  }
  // Clean pages go: what a failed sync left as clean shows the disk's bytes again.
  void drop_cache() {
    for (const Change& change : changes)
      if (change.lost) each_sector(change, [&](std::uint64_t s) { image.copy_sector(durable, s); });
  }
  // Returns what the disk holds if the chosen pieces reached it.
  template <typename Keep>
  Image after_loss(Keep&& keep) const {
    Image left = durable;
    std::set<std::uint64_t> stopped;
    bool size_stopped = false;
    std::uint64_t size = durable.size;
    for (const Change& change : changes) {
      each_sector(change, [&](std::uint64_t s) {
        const bool kept = keep();
        if (stopped.contains(s)) return;
        if (!kept) {
          stopped.insert(s);
          return;
        }
        const std::uint64_t from = std::max(change.offset, s * kSectorSize);
        const std::uint64_t to = std::min(change.offset + change.bytes.size(), (s + 1) * kSectorSize);
        left.put(from, std::string_view(change.bytes).substr(from - change.offset, to - from));
      });
      if (!change.new_size) continue;
      const bool kept = keep();
      if (size_stopped) continue;
      if (!kept) {
        size_stopped = true;
        continue;
      }
      size = *change.new_size;
      if (change.shrinks) left.cut(size);
    }
    left.cut(size);
    return left;
  }
};

struct FaultEnv::NameChange {
  NodePtr from;
  std::string from_name;
  NodePtr to;
  std::string to_name;
  NodePtr node;
};

class FaultFile final : public base::File {
 public:
  using Call = FaultEnv::Call;
  FaultFile(FaultEnv& env, FaultEnv::NodePtr node, std::string path, bool writable)
      : env_(env), node_(std::move(node)), path_(std::move(path)), writable_(writable), epoch_(env.epoch_) {}
  ~FaultFile() override {
    const std::lock_guard lock(env_.mutex_);
    if (node_->locked_by == this) node_->locked_by = nullptr;
  }

  const std::string& path() const override { return path_; }
  Result<std::uint64_t> size() const override {
    const std::lock_guard lock(env_.mutex_);
    ETCDPP_TRY(alive());
    return node_->image.size;
  }
  Result<std::size_t> read_at(std::uint64_t offset, char* out, std::size_t length) override {
    ETCDPP_TRY(env_.enter(Call::kRead, path_));
    const std::lock_guard lock(env_.mutex_);
    ETCDPP_TRY(alive());
    return node_->image.get(offset, out, length);
  }
  Result<> write_at(std::uint64_t offset, std::string_view bytes) override {
    std::size_t written = bytes.size();
    auto entered = env_.enter(Call::kWrite, path_, &written);
    const std::lock_guard lock(env_.mutex_);
    ETCDPP_TRY(alive(true));
    if (!entered) {
      // The kernel writes page by page: inside the file a write stops short at a sector's end only.
      std::uint64_t end = offset + std::min(written, bytes.size());
      if (end <= node_->image.size) end = std::max(offset, end / kSectorSize * kSectorSize);
      bytes = bytes.substr(0, static_cast<std::size_t>(end - offset));
    }
    node_->write(offset, bytes);
    return entered;
  }
  Result<> sync_data() override { return sync(Call::kSyncData); }
  Result<> sync_all() override { return sync(Call::kSyncAll); }
  Result<> truncate(std::uint64_t size) override {
    ETCDPP_TRY(env_.enter(Call::kTruncate, path_));
    const std::lock_guard lock(env_.mutex_);
    ETCDPP_TRY(alive(true));
    if (size != node_->image.size) node_->resize(size);
    return {};
  }
  Result<> allocate(std::uint64_t size) override {
    ETCDPP_TRY(env_.enter(Call::kAllocate, path_));
    const std::lock_guard lock(env_.mutex_);
    ETCDPP_TRY(alive(true));
    if (size > node_->image.size) node_->resize(size);
    return {};
  }
  // Waiting for a lock is not modelled: whoever holds it is in the same test.
  Result<> lock(bool) override {
    ETCDPP_TRY(env_.enter(Call::kLock, path_));
    const std::lock_guard guard(env_.mutex_);
    ETCDPP_TRY(alive());
    if (node_->locked_by != nullptr && node_->locked_by != this) return Error(base::EnvErrc::kLocked, path_);
    node_->locked_by = this;
    return {};
  }
  Result<> drop_cache() override {
    ETCDPP_TRY(env_.enter(Call::kDropCache, path_));
    const std::lock_guard lock(env_.mutex_);
    ETCDPP_TRY(alive());
    node_->drop_cache();
    return {};
  }

 private:
  Result<> alive(bool to_write = false) const {
    if (epoch_ != env_.epoch_) return failure(std::errc::io_error, path_ + ": opened before the crash");
    if (to_write && !writable_) return failure(std::errc::bad_file_descriptor, path_ + ": opened for reading");
    return {};
  }
  Result<> sync(Call call) {
    auto entered = env_.enter(call, path_);
    const std::lock_guard lock(env_.mutex_);
    ETCDPP_TRY(alive());
    if (entered) node_->sync();
    else node_->fail_sync();
    return entered;
  }

  FaultEnv& env_;
  const FaultEnv::NodePtr node_;
  const std::string path_;
  const bool writable_;
  const std::uint64_t epoch_;
};

FaultEnv::FaultEnv(std::uint64_t seed) : random_(seed), root_(std::make_shared<Node>()) { root_->is_directory = true; }
FaultEnv::~FaultEnv() = default;

Result<> FaultEnv::enter(Call call, const std::string& path, std::size_t* written) {
  if (on_call) {
    if (const auto code = on_call(call, path)) {
      if (written) *written = 0;
      return failure(*code, path);
    }
  }
  const std::lock_guard lock(mutex_);
  if (call == Call::kRead) return {};
  if (fault_at_ == calls_++) {
    fault_at_.reset();
    if (written) *written = fault_.written;
    return failure(fault_.code, path);
  }
  return {};
}

FaultEnv::NodePtr FaultEnv::find(const std::string& path) const {
  std::string name;
  const NodePtr parent = find_parent(path, name);
  if (!parent) return nullptr;
  if (name.empty()) return parent;
  const auto found = parent->names.find(name);
  return found == parent->names.end() ? nullptr : found->second;
}

FaultEnv::NodePtr FaultEnv::find_parent(const std::string& path, std::string& name) const {
  NodePtr at = root_;
  name.clear();
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty() || part == ".") continue;
    if (!name.empty()) {
      const auto next = at->names.find(name);
      if (next == at->names.end() || !next->second->is_directory) return nullptr;
      at = next->second;
    }
    name = part;
  }
  return at;
}

void FaultEnv::change_name(NameChange change) {
  if (change.from) change.from->names.erase(change.from_name);
  if (change.to) change.to->names[change.to_name] = change.node;
  name_changes_.push_back(std::move(change));
}

void FaultEnv::apply(const NameChange& change) {
  if (change.from) {
    const auto old = change.from->durable_names.find(change.from_name);
    if (old != change.from->durable_names.end() && old->second == change.node) change.from->durable_names.erase(old);
  }
  if (change.to) change.to->durable_names[change.to_name] = change.node;
}

Result<std::unique_ptr<base::File>> FaultEnv::open(const std::string& path, base::OpenMode mode, unsigned) {
  ETCDPP_TRY(enter(Call::kOpen, path));
  const std::lock_guard lock(mutex_);
  using base::OpenMode;
  NodePtr node = find(path);
  if (node && node->is_directory) return failure(std::errc::is_a_directory, path);
  if (node && mode == OpenMode::kCreateNew) return failure(std::errc::file_exists, path);
  if (!node) {
    if (mode == OpenMode::kReadOnly || mode == OpenMode::kReadWrite) return failure(std::errc::no_such_file_or_directory, path);
    std::string name;
    const NodePtr parent = find_parent(path, name);
    if (!parent) return failure(std::errc::no_such_file_or_directory, path);
    node = std::make_shared<Node>();
    change_name({nullptr, {}, parent, name, node});
  } else if (mode == OpenMode::kCreateTruncate && node->image.size != 0) {
    node->resize(0);
  }
  return std::unique_ptr<base::File>(std::make_unique<FaultFile>(*this, node, path, mode != OpenMode::kReadOnly));
}

bool FaultEnv::exists(const std::string& path) {
  const std::lock_guard lock(mutex_);
  return find(path) != nullptr;
}

Result<std::vector<std::string>> FaultEnv::list(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  const NodePtr node = find(directory);
  if (!node) return failure(std::errc::no_such_file_or_directory, directory);
  if (!node->is_directory) return failure(std::errc::not_a_directory, directory);
  std::vector<std::string> names;
  for (const auto& [name, child] : node->names) names.push_back(name);
  return names;
}

Result<> FaultEnv::make_directories(const std::string& path, unsigned) {
  ETCDPP_TRY(enter(Call::kMakeDirectory, path));
  const std::lock_guard lock(mutex_);
  for (std::size_t at = 0; at != std::string::npos;) {
    at = path.find('/', at + 1);
    const std::string part = path.substr(0, at);
    std::string name;
    const NodePtr parent = find_parent(part, name);
    if (!parent) return failure(std::errc::not_a_directory, part);
    if (name.empty()) continue;
    const auto found = parent->names.find(name);
    if (found != parent->names.end()) {
      if (!found->second->is_directory) return failure(std::errc::not_a_directory, part);
      continue;
    }
    auto node = std::make_shared<Node>();
    node->is_directory = true;
    change_name({nullptr, {}, parent, name, node});
  }
  return {};
}

Result<> FaultEnv::remove(const std::string& path) {
  ETCDPP_TRY(enter(Call::kRemove, path));
  const std::lock_guard lock(mutex_);
  std::string name;
  const NodePtr parent = find_parent(path, name);
  const NodePtr node = find(path);
  if (!parent || !node || name.empty()) return failure(std::errc::no_such_file_or_directory, path);
  if (node->is_directory) return failure(std::errc::is_a_directory, path);
  change_name({parent, name, nullptr, {}, node});
  return {};
}

Result<> FaultEnv::remove_tree(const std::string& path) {
  ETCDPP_TRY(enter(Call::kRemove, path));
  const std::lock_guard lock(mutex_);
  std::string name;
  const NodePtr parent = find_parent(path, name);
  const NodePtr node = find(path);
  if (!parent || !node || name.empty()) return {};
  // The tree's inner names go one by one, so that a crash may leave any of them.
  const std::function<void(const NodePtr&)> empty = [&](const NodePtr& directory) {
    while (!directory->names.empty()) {
      const auto [child_name, child] = *directory->names.begin();
      if (child->is_directory) empty(child);
      change_name({directory, child_name, nullptr, {}, child});
    }
  };
  if (node->is_directory) empty(node);
  change_name({parent, name, nullptr, {}, node});
  return {};
}

Result<> FaultEnv::rename(const std::string& from, const std::string& to) {
  ETCDPP_TRY(enter(Call::kRename, from));
  const std::lock_guard lock(mutex_);
  std::string from_name;
  std::string to_name;
  const NodePtr from_parent = find_parent(from, from_name);
  const NodePtr to_parent = find_parent(to, to_name);
  const NodePtr node = find(from);
  if (!node || !from_parent || !to_parent || from_name.empty() || to_name.empty())
    return failure(std::errc::no_such_file_or_directory, from + " -> " + to);
  if (const NodePtr target = find(to)) {
    if (target == node) return {};
    if (target->is_directory && !node->is_directory) return failure(std::errc::is_a_directory, to);
    if (!target->is_directory && node->is_directory) return failure(std::errc::not_a_directory, to);
    if (!target->names.empty()) return failure(std::errc::directory_not_empty, to);
  }
  change_name({from_parent, from_name, to_parent, to_name, node});
  return {};
}

Result<> FaultEnv::sync_directory(const std::string& path) {
  ETCDPP_TRY(enter(Call::kSyncDirectory, path));
  const std::lock_guard lock(mutex_);
  const NodePtr directory = find(path);
  if (!directory) return failure(std::errc::no_such_file_or_directory, path);
  if (!directory->is_directory) return failure(std::errc::not_a_directory, path);
  // An earlier change of the same file in another directory cannot come after this one.
  std::set<const Node*> moved;
  for (const NameChange& change : name_changes_)
    if (change.from == directory || change.to == directory) moved.insert(change.node.get());
  std::erase_if(name_changes_, [&](const NameChange& change) {
    if (!moved.contains(change.node.get())) return false;
    apply(change);
    return true;
  });
  return {};
}

std::size_t FaultEnv::lose(const std::function<bool(std::size_t)>& keep, bool really) {
  std::size_t piece = 0;
  // Every file that the current names, the durable names or a pending change can reach, in one fixed order.
  std::vector<NodePtr> nodes;
  std::set<const Node*> seen;
  const std::function<void(const NodePtr&)> reach = [&](const NodePtr& node) {
    if (!node || !seen.insert(node.get()).second) return;
    nodes.push_back(node);
    for (const auto& [name, child] : node->names) reach(child);
    for (const auto& [name, child] : node->durable_names) reach(child);
  };
  reach(root_);
  for (const NameChange& change : name_changes_) reach(change.node);
  for (const NodePtr& node : nodes) {
    if (node->changes.empty()) continue;
    Image left = node->after_loss([&] { return keep(piece++); });
    if (!really) continue;
    node->durable = std::move(left);
    node->changes.clear();
  }
  for (const NameChange& change : name_changes_) {
    const bool kept = keep(piece++);
    if (really && kept) apply(change);
  }
  if (!really) return piece;
  name_changes_.clear();
  for (const NodePtr& node : nodes) {
    node->names = node->durable_names;
    node->image = node->durable;
    node->locked_by = nullptr;
  }
  ++epoch_;
  return piece;
}

void FaultEnv::crash(Loss loss) {
  const std::lock_guard lock(mutex_);
  // A random loss is a mostly-kept, mostly-lost or even mixture, or everything up to a point: what disks do.
  const std::uint64_t style = random_.below(4);
  const std::uint64_t pieces = lose([](std::size_t) { return true; }, false);
  const std::uint64_t point = random_.below(pieces + 1);
  static_cast<void>(lose(
      [&](std::size_t piece) {
        switch (loss) {
          case Loss::kAll: return false;
          case Loss::kNone: return true;
          case Loss::kRandom: break;
        }
        if (style == 0) return piece < point;
        return random_.below(8) < (style == 1 ? 1u : style == 2 ? 4u : 7u);
      },
      true));
}

std::size_t FaultEnv::crash(const std::function<bool(std::size_t)>& keep) {
  const std::lock_guard lock(mutex_);
  return lose(keep, true);
}

std::size_t FaultEnv::unsynced_pieces() {
  const std::lock_guard lock(mutex_);
  return lose([](std::size_t) { return true; }, false);
}

void FaultEnv::kill() {
  const std::lock_guard lock(mutex_);
  ++epoch_;
  const std::function<void(const NodePtr&)> unlock = [&](const NodePtr& node) {
    node->locked_by = nullptr;
    for (const auto& [name, child] : node->names) unlock(child);
  };
  unlock(root_);
}

void FaultEnv::fail_call(std::uint64_t n, std::errc code, std::size_t written) {
  const std::lock_guard lock(mutex_);
  fault_at_ = calls_ + n;
  fault_ = {code, written};
}

void FaultEnv::clear_faults() {
  const std::lock_guard lock(mutex_);
  fault_at_.reset();
}

std::uint64_t FaultEnv::calls() {
  const std::lock_guard lock(mutex_);
  return calls_;
}

std::string FaultEnv::contents(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const NodePtr node = find(path);
  if (!node || node->is_directory) return {};
  std::string bytes(node->image.size, '\0');
  node->image.get(0, bytes.data(), bytes.size());
  return bytes;
}

void FaultEnv::plant(const std::string& path, const std::string& bytes) {
  const std::lock_guard lock(mutex_);
  NodePtr at = root_;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty() || part == ".") continue;
    NodePtr& child = at->names[part];
    if (!child) {
      child = std::make_shared<Node>();
      child->is_directory = begin <= path.size();
    }
    at->durable_names[part] = child;
    at = child;
  }
  at->image.cut(0);
  at->image.put(0, bytes);
  at->image.size = bytes.size();
  at->durable = at->image;
  at->changes.clear();
}

}  // namespace etcdpp::test

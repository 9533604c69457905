#pragma once

#include <stdlib.h>

#include <filesystem>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <etcdpp/mvcc/store.h>

namespace etcdpp::mvcc {

class TestDirectory {
 public:
  TestDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "etcdpp-mvcc-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TestDirectory() { std::filesystem::remove_all(path_); }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// A lessor that knows every lease but number 404.
struct FakeLeases final : LeaseAttach {
  std::map<std::string, std::int64_t> lease_of;
  bool attach(std::int64_t lease, base::BytesView key) override {
    if (lease == 404) return false;
    lease_of[std::string(key)] = lease;
    return true;
  }
  void detach(base::BytesView key) override { lease_of.erase(std::string(key)); }
};

struct RecordedChange {
  Revision revision;
  bool tombstone;
  bool creates;
  std::string key;
  std::string key_value;
};
struct FakeObserver final : CommitObserver {
  std::vector<RecordedChange> changes;
  std::vector<std::int64_t> ends;
  void on_change(const Change& c) override {
    changes.push_back({c.revision, c.tombstone, c.creates, std::string(c.key), std::string(c.key_value)});
  }
  void on_end(std::int64_t main) override { ends.push_back(main); }
};

/// A store on a database of its own; close() and open() are a restart, crash() one that loses what was not committed.
struct StoreFixture {
  TestDirectory directory;
  base::ManualClock clock;
  std::unique_ptr<FakeLeases> leases;
  std::unique_ptr<FakeObserver> observer;
  std::unique_ptr<backend::Backend> backend;
  std::unique_ptr<Store> store;
  Store::Restored restored;
  std::uint64_t index = 0;

  const base::Clock* const backend_clock;

  explicit StoreFixture(const base::Clock* other_clock = nullptr) : backend_clock(other_clock ? other_clock : &clock) {
    open();
  }

  void open() {
    backend::Options options;
    options.data_dir = directory.path();
    options.env = &base::posix_env();
    options.clock = backend_clock;
    options.logger = &base::null_logger();
    options.cluster_id = 1;
    options.member_id = 2;
    Restoration rows;
    auto opened = backend::Backend::open(options, [&](base::BytesView key, base::BytesView value) { return rows.add(key, value); });
    if (!opened) FAIL("open: " << opened.error().message());
    backend = std::move(*opened);
    leases = std::make_unique<FakeLeases>();
    observer = std::make_unique<FakeObserver>();
    store = std::make_unique<Store>(*backend, leases.get(), observer.get());
    index = backend->opened().consistent_index;
    rows.end();
    auto done = store->restore(index, std::move(rows));
    if (!done) FAIL("restore: " << done.error().message());
    restored = *done;
    backend->commit_loop().set_deletion_source(&store->compaction());
  }
  void crash() {
    store.reset();
    backend.reset();
  }
  void restart() {
    commit();
    crash();
    open();
  }

  /// The end of an entry.
  void entry_done() { backend->buffer().set_applied(++index, 1); }
  std::int64_t put(base::BytesView key, base::BytesView value, std::int64_t lease = 0) {
    WriteTxn txn(*store);
    txn.put(key, value, lease);
    const auto revision = txn.end();
    entry_done();
    return revision;
  }
  std::int64_t erase(const KeyRange& range) {
    WriteTxn txn(*store);
    const auto n = txn.delete_range(range);
    txn.end();
    entry_done();
    return n;
  }
  base::Result<> compact(std::int64_t revision) {
    auto done = store->compact(revision, index + 1);
    entry_done();
    return done;
  }
  void publish() { store->publish(index); }
  /// Commits all buffers.
  void commit() {
    while (step()) {
    }
    backend->freeze();
    while (step()) {
    }
    publish();
  }
  bool step() {
    auto worked = backend->commit_loop().step();
    if (!worked) FAIL("commit: " << worked.error().message());
    return *worked;
  }
  /// Until no compaction is left.
  void finish_compactions() {
    commit();
    for (int i = 0; !store->compaction().idle() && i < 100'000; ++i) {
      if (store->step_compaction(100)) publish();
      clock.advance(std::chrono::milliseconds(20));
      step();
    }
    REQUIRE(store->compaction().idle());
    publish();
  }

  RangeReader reader() {
    auto opened = RangeReader::open(store->views());
    if (!opened) FAIL("reader: " << opened.error().message());
    return std::move(*opened);
  }
  /// Row keys of the database and the buffers, as "main.sub" and 't'.
  std::vector<std::string> rows() {
    std::vector<std::string> all;
    const auto now = reader();
    backend::RowScan scan(now.view().buffers, now.transaction());
    auto there = scan.seek(RowKeyBytes({0, 0}, false));
    while (there && *there) {
      const auto key = decode_row_key(scan.key());
      REQUIRE(key);
      all.push_back(std::to_string(key->revision.main) + "." + std::to_string(key->revision.sub) +
                    (key->tombstone ? "t" : ""));
      there = scan.next();
    }
    REQUIRE(there);
    return all;
  }
};

}  // namespace etcdpp::mvcc

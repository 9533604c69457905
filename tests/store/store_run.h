#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <etcdpp/backend/backend.h>
#include <etcdpp/base/clock.h>
#include <etcdpp/base/random.h>
#include <etcdpp/mvcc/store.h>

#include "model.h"
#include "requests.h"

namespace etcdpp::store_test {

/// What a run's store stands on where that may lose power.
class Machine {
 public:
  virtual ~Machine() = default;
  virtual base::Env& env() = 0;
  /// Calls fail from some moment on; nothing that they were to do is done.
  virtual bool has_lost_power() const = 0;
  /// The power is back, with what was synced and any part of what was not. No file is in use.
  virtual void restart() = 0;
};

/// One seed: a store on a real database beside the model, asked the same, with commits, compactions, defragmentations,
/// restarts and crashes of the process in between. Ends at the first difference.
class StoreRun {
 public:
  struct Counts {
    std::uint64_t operations = 0, reads = 0, compactions = 0, jobs = 0, defragmentations = 0, restarts = 0, crashes = 0, hashes = 0;
    void add(const Counts& other);
  };
  /// `machine` null: the operating system's files, which lose nothing.
  StoreRun(std::uint64_t seed, std::string directory, Machine* machine = nullptr);
  ~StoreRun();

  /// False when store and model differed; failure() says how.
  bool run(std::uint64_t operations);
  /// Applies, commits, compacts and defragments densely: a script of some hundred steps, for a machine that loses power at
  /// each of its calls in turn. Then as run().
  bool run_script();
  const std::string& failure() const { return failure_; }
  const Counts& counts() const { return counts_; }

 private:
  /// An entry that may not be in the database yet: what a log would have.
  struct Logged {
    std::uint64_t index;
    Entry entry;
    std::string answer;
    std::uint32_t compaction_hash;
  };
  /// A View held while time goes on, and what it must still say.
  struct Held {
    mvcc::RangeReader reader;
    Operation asked;
    std::string wanted;
    std::uint64_t until;
  };
  /// A long answer in slices under a pin.
  struct Sliced {
    mvcc::RangeCursor cursor;
    std::string wanted;
    std::string got;
  };
  struct Leases final : mvcc::LeaseAttach {
    std::map<std::string, std::int64_t> of;
    bool attach(std::int64_t lease, base::BytesView key) override {
      of[std::string(key)] = lease;
      return true;
    }
    void detach(base::BytesView key) override { of.erase(std::string(key)); }
  };

  void open();
  void close();
  bool going() const { return failure_.empty() && !powerless(); }
  bool powerless() const { return machine_ && machine_->has_lost_power(); }
  bool end_of_run();
  void step(std::uint64_t now);
  void write();
  void write(Entry entry);
  std::string apply(const Entry& entry, std::uint32_t compaction_hash);
  std::string read(const mvcc::RangeReader& reader, const Operation& operation);
  void read();
  void commit_step();
  void publish();
  void settle();
  void crash();
  void hash();
  void hold(std::uint64_t now);
  void check_held(std::uint64_t now);
  void slice();
  void check_everything(bool every_revision);
  void check_compaction_hashes();
  void differ(const std::string& what, const std::string& got = {}, const std::string& wanted = {});
  template <typename Result>
  bool fine(const Result& result, const std::string& what) {
    // Without power everything fails, and nothing of it is believed.
    if (!result && !powerless()) differ(what + ": " + result.error().message());
    return result.has_value();
  }

  base::Random random_;
  const std::string directory_;
  Machine* const machine_;
  base::ManualClock clock_;
  Requests requests_;
  Model model_;
  backend::Options options_;
  std::size_t copy_bytes_ = 0;
  std::unique_ptr<Leases> leases_;
  std::unique_ptr<backend::Backend> backend_;
  std::unique_ptr<mvcc::Store> store_;
  std::uint64_t index_ = 0;
  std::deque<Logged> log_;
  std::vector<Held> held_;
  std::optional<Sliced> sliced_;
  std::map<std::int64_t, mvcc::KeyValueHash> compaction_hashes_;
  Counts counts_;
  std::string failure_;
};

}  // namespace etcdpp::store_test

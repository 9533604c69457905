#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <etcdpp/base/random.h>

#include <member.h>

#include "executor.h"
#include "history.h"
#include "trace.h"
#include "tuning.h"

namespace etcdpp::sim {

/// Clients that ask the member for everything it does with keys and leases, one request each at a time, by the calls that
/// its services make: Proposer, ReadIndexer, Views, tasks of the apply loop.
class Clients {
 public:
  Clients(const Tuning& tuning, base::Random& random, Executor& executor, History& history, Trace& trace)
      : tuning_(tuning), random_(random), executor_(executor), history_(history), trace_(trace), busy_(tuning.clients) {}

  void connect(server::Member& member) { member_ = &member; }
  /// The member is gone; nobody waits any more.
  void disconnect();

  /// Some client that waits for nothing asks for something; false if all wait.
  bool ask();
  std::uint64_t asked() const { return asked_; }
  bool idle() const;

 private:
  std::string key();
  std::string range_end(const std::string& key);
  std::string value();
  /// One of the newest, which may have ended or never have been.
  std::int64_t lease();
  etcdserverpb::PutRequest put();
  etcdserverpb::DeleteRangeRequest erase();
  etcdserverpb::TxnRequest txn(int depth);

  void write(std::size_t client);
  void read(std::size_t client);
  void renew(std::size_t client);
  void hash(std::size_t client);
  void propose(std::size_t client, server::RequestField field, std::string request);
  void answered(std::size_t write, const base::Result<server::ResponseMessage>& result);
  void answer_read(Read read);
  struct LongRead;
  void start_long_read(Read read);
  void continue_long_read(LongRead next);
  void finish_read(Read read, const base::Result<>& answer);
  void done(std::size_t client) { busy_[client] = false; }

  const Tuning& tuning_;
  base::Random& random_;
  Executor& executor_;
  History& history_;
  Trace& trace_;
  server::Member* member_ = nullptr;
  std::vector<bool> busy_;
  std::uint64_t asked_ = 0;
  std::int64_t newest_lease_ = 0;
};

}  // namespace etcdpp::sim

#pragma once

#include <unordered_map>

#include <etcdpp/net/io_thread.h>

#include "range_answer.h"
#include "service.h"
#include "small_reads.h"

namespace etcdpp::server {

/// etcdserverpb.KV: hop 3 of a Put. Checks what can be checked before the log, proposes writes, answers reads from a View.
class KvService : public Service {
 public:
  KvService(Member& member, ReaderPool& readers) : Service(member), shared_{member, readers} {}
  void add_to(net::GrpcServer& server);
  /// Before the threads start: what is answered in a turn's write phase must be there before sockets are written.
  void add_thread(net::IoThread& thread);

 private:
  void range(net::CallRef call, std::string_view message);
  void range_stream(net::CallRef call, std::string_view message);
  void put(net::CallRef call, std::string_view message);
  void delete_range(net::CallRef call, std::string_view message);
  void txn(net::CallRef call, std::string_view message);
  void compact(net::CallRef call, std::string_view message);

  void begin_range(net::CallRef call, const etcdserverpb::RangeRequest& request, base::Instant asked);
  void answer_range(net::GrpcCall& call, const etcdserverpb::RangeRequest& request, base::Instant asked);
  void answer_txn(net::GrpcCall& call, const etcdserverpb::TxnRequest& request, base::Instant asked);
  HeaderWriter header_writer() const;

  RangeShared shared_;
  std::unordered_map<const net::Executor*, SmallReads> small_reads_;
};

}  // namespace etcdpp::server

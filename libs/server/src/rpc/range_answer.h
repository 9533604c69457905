#pragma once

#include <functional>
#include <memory>
#include <string>

#include <etcdpp/mvcc/range_reader.h>
#include <etcdpp/net/grpc_call.h>

#include <etcdserverpb/rpc.pb.h>

#include "../member.h"
#include "../reader_pool.h"
#include "../selection_budget.h"

namespace etcdpp::server {

/// Puts a response header for a revision at the end of a message's bytes.
using HeaderWriter = std::function<void(std::int64_t revision, std::string& out)>;

/// Keys of the index that an I/O thread looks at in one go: about 0.3 ms.
inline constexpr std::size_t kKeysPerSlice = 4'000;

/// What the answers of all ranges share. Outlives them.
struct RangeShared {
  Member& member;
  ReaderPool& readers;
  /// Of what sorted and filtered answers keep: 32 bytes a key while they are chosen, 16 while they are sent.
  SelectionBudget budget{32u << 20};
};

/// How a unary Range is answered: its header, and when it came and its reading began, for the metrics.
struct RangeReply {
  HeaderWriter header;
  base::Instant asked;
  base::Instant begun;
};

/// Answers a unary Range in key order: one key, a page, or a list of any length. A small answer leaves at once; the length
/// of a larger one is taken from the index, in slices if need be, and its rows are read as the client takes them, at a
/// pinned revision. Memory does not grow with the list. In the call's thread.
void answer_in_key_order(RangeShared& shared, net::GrpcCall& call, const etcdserverpb::RangeRequest& request, mvcc::RangeReader& reader,
                         const RangeReply& reply);

/// Answers a unary Range that is filtered by revisions or ordered otherwise (RangeSelector). A small one at once; else the
/// `reader` thread chooses and arranges its rows in slices, and they are sent as above. In the call's thread.
void answer_selected(RangeShared& shared, net::GrpcCall& call, const etcdserverpb::RangeRequest& request, mvcc::RangeReader& reader,
                     const RangeReply& reply);

/// When a Range came, its reading began, and it is answered.
struct RangeTimes {
  base::Instant asked, begun, ended;
};
/// Counts the times of a Range that is about to be answered or refused.
void count_range(Member& member, const RangeTimes& times, bool success);
/// The same, answered now.
void count_range(Member& member, const RangeReply& reply, bool success);

/// Refuses a range that failed; a database that cannot be read ends the member.
void refuse_range(Member& member, net::GrpcCall& call, const base::Error& error);

}  // namespace etcdpp::server

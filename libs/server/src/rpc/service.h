#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <etcdpp/net/grpc_server.h>

#include <etcdserverpb/rpc.pb.h>

#include "../member.h"
#include "../waiters.h"
#include "status_map.h"

namespace etcdpp::server {

/// What every service does alike: headers, answers, refusals, and retrying a proposal that met a full inbox.
///
/// Threads: a call's own I/O thread. The answer of a proposal or a linearizable read comes back into that thread.
class Service {
 public:
  explicit Service(Member& member) : member_(member) {}

 protected:
  /// Ids and term of this member; revision stays as the operation set it.
  void complete(etcdserverpb::ResponseHeader& header) const;
  etcdserverpb::ResponseHeader header(std::int64_t revision) const;
  /// The header as field 1 of any response, in wire form.
  void append_header(std::int64_t revision, std::string& out) const;

  static void refuse(net::GrpcCall& call, const base::Error& error) { call.finish(status_of(error)); }
  template <typename Response>
  static void reply(net::GrpcCall& call, const Response& response) {
    std::string bytes;
    response.SerializeToString(&bytes);
    call.reply(std::move(bytes));
  }

  /// Proposes the client's own bytes, and answers with the applied response under this member's header.
  template <typename Response>
  void propose(net::CallRef call, RequestField field, std::string_view request) {
    propose_then(std::move(call), field, request, [this](net::GrpcCall& answered, base::Result<ResponseMessage> applied) {
      if (!applied) return refuse(answered, applied.error());
      auto& response = static_cast<Response&>(**applied);
      complete(*response.mutable_header());
      reply(answered, response);
    });
  }
  using Applied = std::move_only_function<void(net::GrpcCall& call, base::Result<ResponseMessage> applied)>;
  void propose_then(net::CallRef call, RequestField field, std::string_view request, Applied then);

  /// Whether the database has room for `cost` more bytes. If not, the NOSPACE alarm goes up, and the call, which is taken,
  /// is refused once it stands.
  bool has_space(net::CallRef& call, std::uint64_t cost);

  /// Runs `read` in the call's thread once a linearizable read may begin, or refuses.
  void when_linearizable(net::CallRef call, std::move_only_function<void(net::GrpcCall&)> read);

  Member& member_;
};

/// Parses a request; a malformed one is answered as grpc-go answers it.
template <typename Request>
bool parse_request(Request& request, std::string_view bytes, net::GrpcCall& call) {
  if (request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return true;
  call.finish(net::StatusCode::kInternal, "grpc: error unmarshalling request: proto: cannot parse invalid wire-format data");
  return false;
}

}  // namespace etcdpp::server

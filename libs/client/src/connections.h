#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <grpcpp/grpcpp.h>

#include <etcdserverpb/rpc.grpc.pb.h>

#include <etcdpp/base/random.h>
#include <etcdpp/base/result.h>
#include <etcdpp/client/endpoint.h>
#include <etcdpp/client/options.h>

namespace etcdpp::client {

using Clock = std::chrono::system_clock;  // gRPC's deadlines are of this clock

/// One endpoint's channel and the stubs on it.
struct Connection {
  Connection(Endpoint where, std::shared_ptr<grpc::Channel> to);

  Endpoint endpoint;
  std::shared_ptr<grpc::Channel> channel;
  std::tuple<etcdserverpb::KV::Stub, etcdserverpb::Watch::Stub, etcdserverpb::Lease::Stub, etcdserverpb::Cluster::Stub,
             etcdserverpb::Maintenance::Stub, etcdserverpb::Auth::Stub>
      stubs;
};

/// The channels of all endpoints, which of them is in use, and the token that calls carry.
///
/// Threads: any.
struct Connections {
  static base::Result<std::unique_ptr<Connections>> open(const Options& options);

  /// The preferred endpoint if it is connected, else the first other that is; waits for one until `deadline`, or until
  /// `stop` is set (then null). All endpoints dial at the same time.
  Connection* wait_connected(std::optional<Clock::time_point> deadline, const std::atomic<bool>* stop = nullptr);

  /// The next call starts at the endpoint after this one.
  void avoid(const Connection& connection);

  /// Fetches a token if user name and password are given and there is none yet.
  base::Result<> authenticate(const Options& options, std::optional<Clock::time_point> deadline);
  void forget_token();

  /// Puts token and `hasleader` into a call's metadata.
  void add_metadata(grpc::ClientContext& context, bool require_leader);

  std::chrono::milliseconds retry_wait(unsigned attempt, std::chrono::milliseconds wait);

  std::vector<std::unique_ptr<Connection>> all;
  std::atomic<std::size_t> preferred{0};

 private:
  std::mutex mutex_;
  std::string token_;                         // under mutex_
  base::Random random_{base::random_seed()};  // under mutex_
};

/// The status of a call as an Error; a deadline of our own reads as Go's.
base::Error status_error(const grpc::Status& status);

/// What a call says that ran out of time before it was answered.
base::Error deadline_error();

}  // namespace etcdpp::client

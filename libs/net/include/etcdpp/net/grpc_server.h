#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <etcdpp/base/clock.h>
#include <etcdpp/net/grpc_call.h>
#include <etcdpp/net/status.h>

namespace etcdpp::net {

enum class MethodKind { kUnary, kServerStream, kBidiStream };
/// "unary", "server_stream", "bidi_stream": the label grpc_type.
std::string_view method_kind_name(MethodKind kind);

/// Answers a unary or server-streaming call. `message` is valid during the call (it usually lies in the socket's read
/// buffer): decode or copy what is kept.
using UnaryHandler = std::function<void(CallRef call, std::string_view message)>;
using StreamFactory = std::function<std::unique_ptr<GrpcStream>(GrpcCall& call)>;

/// A method that this server knows.
struct GrpcMethod {
  std::string path;  // "/etcdserverpb.KV/Put"
  std::string service;
  std::string name;
  MethodKind kind = MethodKind::kUnary;
  unsigned index = 0;  // in order of registration: for tables of an observer
  UnaryHandler unary;
  StreamFactory stream;
};

/// Who counts calls (grpc_server_* metrics). Functions run in the I/O threads, several at a time, per call: they must
/// be cheap, and safe to call together.
class GrpcObserver {
 public:
  virtual ~GrpcObserver() = default;
  virtual void on_started(const GrpcMethod& method, unsigned io_thread) = 0;
  /// `elapsed` from the request's header to finish or cancellation.
  virtual void on_handled(const GrpcMethod& method, StatusCode code, base::Duration elapsed, unsigned io_thread) = 0;
  virtual void on_received(const GrpcMethod& method, std::size_t message_bytes, unsigned io_thread) = 0;
  virtual void on_sent(const GrpcMethod& method, std::size_t message_bytes, unsigned io_thread) = 0;
};

/// Looks at a call before its handler: for a unary or server-streaming call when its message is complete, for a
/// bidirectional one when it opens. A status that is not OK ends the call.
using Interceptor = std::function<Status(GrpcCall& call)>;

/// The methods that are served, by exact path. Unknown ones are answered UNIMPLEMENTED with etcd's texts.
///
/// Threads: register everything before a listener starts; read-only afterwards.
class GrpcServer {
 public:
  const GrpcMethod& unary(std::string path, UnaryHandler handler);
  const GrpcMethod& server_stream(std::string path, UnaryHandler handler);
  const GrpcMethod& bidi_stream(std::string path, StreamFactory factory);
  /// Interceptors run in the order in which they were added; the first that refuses decides.
  void add_interceptor(Interceptor interceptor) { interceptors_.push_back(std::move(interceptor)); }
  void set_observer(GrpcObserver* observer) { observer_ = observer; }

  const GrpcMethod* find(std::string_view path) const;
  /// What a call of an unknown path is told.
  Status unknown(std::string_view path) const;
  Status intercept(GrpcCall& call) const;
  GrpcObserver* observer() const { return observer_; }
  const std::vector<std::unique_ptr<GrpcMethod>>& methods() const { return methods_; }

 private:
  GrpcMethod& add(std::string path, MethodKind kind);
  std::vector<std::unique_ptr<GrpcMethod>> methods_;
  std::unordered_map<std::string_view, const GrpcMethod*> by_path_;
  std::vector<Interceptor> interceptors_;
  GrpcObserver* observer_ = nullptr;
};

}  // namespace etcdpp::net

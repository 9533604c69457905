#include <etcdpp/net/grpc_server.h>

#include <etcdpp/base/assert.h>

namespace etcdpp::net {

std::string_view method_kind_name(MethodKind kind) {
  switch (kind) {
    case MethodKind::kUnary: return "unary";
    case MethodKind::kServerStream: return "server_stream";
    case MethodKind::kBidiStream: return "bidi_stream";
  }
  return "unary";
}

GrpcMethod& GrpcServer::add(std::string path, MethodKind kind) {
  const std::size_t slash = path.rfind('/');
  ETCDPP_ASSERT(path.starts_with('/') && slash > 0 && slash != std::string::npos, "a method path is /service/method");
  auto method = std::make_unique<GrpcMethod>();
  method->service = path.substr(1, slash - 1);
  method->name = path.substr(slash + 1);
  method->path = std::move(path);
  method->kind = kind;
  method->index = static_cast<unsigned>(methods_.size());
  const bool added = by_path_.emplace(method->path, method.get()).second;
  ETCDPP_ASSERT(added, "a method was registered twice");
  methods_.push_back(std::move(method));
  return *methods_.back();
}

const GrpcMethod& GrpcServer::unary(std::string path, UnaryHandler handler) {
  GrpcMethod& method = add(std::move(path), MethodKind::kUnary);
  method.unary = std::move(handler);
  return method;
}

const GrpcMethod& GrpcServer::server_stream(std::string path, UnaryHandler handler) {
  GrpcMethod& method = add(std::move(path), MethodKind::kServerStream);
  method.unary = std::move(handler);
  return method;
}

const GrpcMethod& GrpcServer::bidi_stream(std::string path, StreamFactory factory) {
  GrpcMethod& method = add(std::move(path), MethodKind::kBidiStream);
  method.stream = std::move(factory);
  return method;
}

const GrpcMethod* GrpcServer::find(std::string_view path) const {
  const auto found = by_path_.find(path);
  return found == by_path_.end() ? nullptr : found->second;
}

Status GrpcServer::unknown(std::string_view path) const {
  const std::string_view rest = path.starts_with('/') ? path.substr(1) : std::string_view();
  const std::size_t slash = rest.rfind('/');
  if (slash == std::string_view::npos) {
    return {StatusCode::kUnimplemented, "malformed method name: \"" + base::printable(path) + "\""};
  }
  const std::string service(rest.substr(0, slash));
  const std::string name(rest.substr(slash + 1));
  for (const auto& method : methods_) {
    if (method->service == service) return {StatusCode::kUnimplemented, "unknown method " + name + " for service " + service};
  }
  return {StatusCode::kUnimplemented, "unknown service " + service};
}

Status GrpcServer::intercept(GrpcCall& call) const {
  for (const Interceptor& interceptor : interceptors_) {
    Status status = interceptor(call);
    if (!status.ok()) return status;
  }
  return {};
}

}  // namespace etcdpp::net

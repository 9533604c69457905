// The official client as the judge of our server: unary, server-streaming and bidirectional calls through grpc++.

#include <atomic>
#include <thread>

#include <doctest/doctest.h>
#include <grpcpp/grpcpp.h>

#include <etcdserverpb/rpc.grpc.pb.h>

#include "test_server.h"

using namespace etcdpp;
using namespace etcdpp::net;
using namespace std::chrono_literals;

namespace {

class WatchEcho final : public GrpcStream {
 public:
  explicit WatchEcho(GrpcCall& call) : call_(call) {}
  void on_message(std::string_view bytes) override {
    etcdserverpb::WatchRequest request;
    CHECK(request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    etcdserverpb::WatchResponse response;
    response.set_watch_id(request.create_request().watch_id());
    response.set_created(true);
    call_.send_message(response.SerializeAsString());
  }
  void on_half_close() override { call_.finish(StatusCode::kUnavailable, "etcdserver: no leader"); }

 private:
  GrpcCall& call_;
};

struct GrpcppServer : TestServer {
  GrpcppServer() {
    grpc.unary("/etcdserverpb.KV/Put", [this](CallRef call, std::string_view bytes) {
      etcdserverpb::PutRequest request;
      CHECK(request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
      last_token = call->metadata("token");
      etcdserverpb::PutResponse response;
      response.mutable_header()->set_revision(static_cast<std::int64_t>(request.value().size()));
      response.mutable_prev_kv()->set_value(request.value());
      call->reply(response.SerializeAsString());
    });
    grpc.unary("/etcdserverpb.KV/Range", [](CallRef call, std::string_view) {
      call->finish(StatusCode::kOutOfRange, "etcdserver: mvcc: required revision has been compacted");
    });
    grpc.unary("/etcdserverpb.KV/Compact", [this](CallRef call, std::string_view) { never = std::move(call); });
    grpc.server_stream("/etcdserverpb.Maintenance/Snapshot", [](CallRef call, std::string_view) {
      for (int i = 0; i < 300; ++i) {
        etcdserverpb::SnapshotResponse response;
        response.set_remaining_bytes(static_cast<std::uint64_t>(299 - i));
        response.set_blob(std::string(32 * 1024, static_cast<char>(i)));
        call->send_message(response.SerializeAsString());
      }
      call->finish(StatusCode::kOk);
    });
    grpc.bidi_stream("/etcdserverpb.Watch/Watch", [](GrpcCall& call) { return std::make_unique<WatchEcho>(call); });
    start();
    ::grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    channel = ::grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port()), ::grpc::InsecureChannelCredentials(), arguments);
  }
  ~GrpcppServer() {
    stop();
    never.reset();
  }
  std::string last_token;
  CallRef never;
  std::shared_ptr<::grpc::Channel> channel;
};

}  // namespace

TEST_CASE("grpc++: unary calls, small, large, compressed and failing") {
  GrpcppServer server;
  auto kv = etcdserverpb::KV::NewStub(server.channel);
  for (const std::size_t size : {0u, 10u, 100'000u, 2'000'000u}) {
    for (const bool compressed : {false, true}) {
      CAPTURE(size);
      ::grpc::ClientContext context;
      if (compressed) context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
      context.AddMetadata("token", "secret");
      etcdserverpb::PutRequest request;
      request.set_value(std::string(size, 'v'));
      etcdserverpb::PutResponse response;
      const ::grpc::Status status = kv->Put(&context, request, &response);
      REQUIRE_MESSAGE(status.ok(), status.error_message());
      CHECK(response.prev_kv().value() == request.value());
      CHECK(server.last_token == "secret");
    }
  }
  {
    ::grpc::ClientContext context;
    etcdserverpb::PutRequest request;
    request.set_value(std::string(3'000'000, 'v'));
    etcdserverpb::PutResponse response;
    const ::grpc::Status status = kv->Put(&context, request, &response);
    CHECK(status.error_code() == ::grpc::StatusCode::RESOURCE_EXHAUSTED);
    CHECK(status.error_message() == "grpc: received message larger than max (3000005 vs. 2097152)");
  }
  {
    ::grpc::ClientContext context;
    etcdserverpb::RangeResponse response;
    const ::grpc::Status status = kv->Range(&context, {}, &response);
    CHECK(status.error_code() == ::grpc::StatusCode::OUT_OF_RANGE);
    CHECK(status.error_message() == "etcdserver: mvcc: required revision has been compacted");
  }
  {
    ::grpc::ClientContext context;
    etcdserverpb::TxnResponse response;
    const ::grpc::Status status = kv->Txn(&context, {}, &response);
    CHECK(status.error_code() == ::grpc::StatusCode::UNIMPLEMENTED);
    CHECK(status.error_message() == "unknown method Txn for service etcdserverpb.KV");
  }
  {
    ::grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 100ms);
    etcdserverpb::CompactionResponse response;
    CHECK(kv->Compact(&context, {}, &response).error_code() == ::grpc::StatusCode::DEADLINE_EXCEEDED);
  }
}

TEST_CASE("grpc++: a server stream larger than any window arrives whole") {
  GrpcppServer server;
  auto maintenance = etcdserverpb::Maintenance::NewStub(server.channel);
  ::grpc::ClientContext context;
  auto reader = maintenance->Snapshot(&context, {});
  etcdserverpb::SnapshotResponse response;
  int chunks = 0;
  while (reader->Read(&response)) {
    CHECK(response.remaining_bytes() == static_cast<std::uint64_t>(299 - chunks));
    CHECK(response.blob() == std::string(32 * 1024, static_cast<char>(chunks)));
    ++chunks;
  }
  CHECK(chunks == 300);
  CHECK(reader->Finish().ok());
}

TEST_CASE("grpc++: a bidirectional stream, its half-close, its status and its cancellation") {
  GrpcppServer server;
  auto watch = etcdserverpb::Watch::NewStub(server.channel);
  {
    ::grpc::ClientContext context;
    auto stream = watch->Watch(&context);
    for (int i = 0; i < 200; ++i) {
      etcdserverpb::WatchRequest request;
      request.mutable_create_request()->set_watch_id(i);
      CHECK(stream->Write(request));
      if (i % 3 == 0) continue;
      etcdserverpb::WatchResponse response;
      CHECK(stream->Read(&response));
    }
    CHECK(stream->WritesDone());
    int rest = 0;
    std::int64_t last = -1;
    etcdserverpb::WatchResponse response;
    while (stream->Read(&response)) {
      ++rest;
      last = response.watch_id();
    }
    CHECK(rest == 67);
    CHECK(last == 199);
    const ::grpc::Status status = stream->Finish();
    CHECK(status.error_code() == ::grpc::StatusCode::UNAVAILABLE);
    CHECK(status.error_message() == "etcdserver: no leader");
  }
  {
    ::grpc::ClientContext context;
    auto stream = watch->Watch(&context);
    etcdserverpb::WatchRequest request;
    request.mutable_create_request()->set_watch_id(5);
    CHECK(stream->Write(request));
    etcdserverpb::WatchResponse response;
    CHECK(stream->Read(&response));
    context.TryCancel();
    CHECK(stream->Finish().error_code() == ::grpc::StatusCode::CANCELLED);
  }
}

TEST_CASE("grpc++: many threads at once, and a drain in the middle of it loses no call") {
  GrpcppServer server;
  auto kv = etcdserverpb::KV::NewStub(server.channel);
  std::atomic<int> good = 0, unavailable = 0, other = 0;
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      while (!stop) {
        ::grpc::ClientContext context;
        etcdserverpb::PutRequest request;
        request.set_value("value");
        etcdserverpb::PutResponse response;
        const ::grpc::Status status = kv->Put(&context, request, &response);
        if (status.ok()) ++good;
        else if (status.error_code() == ::grpc::StatusCode::UNAVAILABLE) ++unavailable;
        else ++other;
        if (!status.ok()) std::this_thread::sleep_for(5ms);
      }
    });
  }
  CHECK(eventually([&] { return good > 500; }));
  server.listener->drain();
  CHECK(eventually([&] { return unavailable > 0; }));
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(other == 0);
}

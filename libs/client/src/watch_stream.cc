#include <etcdpp/client/watch_stream.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include <etcdpp/client/client.h>
#include <etcdpp/client/errc.h>

#include "connections.h"
#include "retry.h"
#include "watch_book.h"

namespace etcdpp::client {
namespace {

namespace pb = etcdserverpb;

constexpr std::chrono::milliseconds kFirstPause{1};
constexpr std::chrono::milliseconds kLongestPause{100};

}  // namespace

struct WatchStream::State {
  using Stream = grpc::ClientReaderWriter<pb::WatchRequest, pb::WatchResponse>;

  explicit State(Client& owner) : client(owner) {}

  Connections& connections() { return *client.connections_; }

  void write_create(pb::WatchCreateRequest request) {
    pb::WatchRequest message;
    *message.mutable_create_request() = std::move(request);
    stream->Write(message);  // a failure shows in the reader
  }

  void write_progress() {
    pb::WatchRequest message;
    message.mutable_progress_request();
    stream->Write(message);
  }

  base::Result<> open();
  base::Error finish();

  Client& client;
  std::atomic<bool> closed{false};
  std::chrono::milliseconds pause = kFirstPause;  // reader's
  Connection* connection = nullptr;               // reader's

  std::mutex mutex;
  std::condition_variable changed;
  WatchBook book;                                // under mutex
  bool progress_wanted = false;                  // under mutex; asked for while there was no stream
  std::unique_ptr<grpc::ClientContext> context;  // under mutex; outlives stream
  std::unique_ptr<Stream> stream;                // under mutex for writers; only the reader replaces or reads it
};

/// Connects and creates every watcher anew.
base::Result<> WatchStream::State::open() {
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return closed || !book.empty(); });
  }
  connection = connections().wait_connected(std::nullopt, &closed);
  if (!connection) return base::Error(Errc::kClosed);
  ETCDPP_TRY(connections().authenticate(client.options(), std::nullopt));

  std::lock_guard lock(mutex);
  if (closed) return base::Error(Errc::kClosed);
  context = std::make_unique<grpc::ClientContext>();
  connections().add_metadata(*context, /*require_leader=*/true);
  stream = std::get<pb::Watch::Stub>(connection->stubs).Watch(context.get());
  for (auto& request : book.resume()) write_create(std::move(request));
  if (std::exchange(progress_wanted, false)) write_progress();
  return {};
}

/// Takes down the broken stream and says why it broke.
base::Error WatchStream::State::finish() {
  std::lock_guard lock(mutex);
  grpc::Status status = stream->Finish();
  stream.reset();
  context.reset();
  if (status.ok()) return base::Error(StatusCode::kUnavailable, "the server ended the watch stream");
  return status_error(status);
}

WatchStream::WatchStream(Client& client) : state_(std::make_unique<State>(client)) {}

WatchStream::~WatchStream() {
  close();
  if (state_->stream) state_->finish();
}

std::int64_t WatchStream::add(pb::WatchCreateRequest request) {
  std::lock_guard lock(state_->mutex);
  auto numbered = state_->book.add(std::move(request));
  const std::int64_t id = numbered.watch_id();
  if (state_->stream) state_->write_create(std::move(numbered));
  state_->changed.notify_all();
  return id;
}

void WatchStream::remove(std::int64_t watch_id) {
  std::lock_guard lock(state_->mutex);
  if (!state_->stream) return;
  pb::WatchRequest message;
  message.mutable_cancel_request()->set_watch_id(watch_id);
  state_->stream->Write(message);
}

void WatchStream::request_progress() {
  std::lock_guard lock(state_->mutex);
  if (state_->stream)
    state_->write_progress();
  else
    state_->progress_wanted = true;
}

base::Result<pb::WatchResponse> WatchStream::next() {
  State& state = *state_;
  for (;;) {
    if (state.closed) return base::Error(Errc::kClosed);
    if (!state.stream) {
      ETCDPP_TRY(state.open());
    }
    pb::WatchResponse response;
    if (state.stream->Read(&response)) {
      state.pause = kFirstPause;
      std::lock_guard lock(state.mutex);
      if (auto out = state.book.receive(std::move(response))) return std::move(*out);
      continue;
    }

    base::Error error = state.finish();
    if (state.closed) return base::Error(Errc::kClosed);
    if (wants_new_token(error)) {
      state.connections().forget_token();
    } else if (!stream_may_resume(error)) {
      return error;
    }
    state.connections().avoid(*state.connection);
    std::this_thread::sleep_for(state.pause);
    state.pause = std::min(state.pause * 2, kLongestPause);
  }
}

void WatchStream::close() {
  state_->closed = true;
  std::lock_guard lock(state_->mutex);
  if (state_->context) state_->context->TryCancel();
  state_->changed.notify_all();
}

}  // namespace etcdpp::client

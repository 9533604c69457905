#include "snapshot_sender.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include <etcdpp/base/human_bytes.h>
#include <etcdpp/config/duration.h>
#include <etcdpp/proto/wire.h>

#include "../apply/requests.h"
#include "../errc.h"
#include "status_map.h"

namespace etcdpp::server {

namespace {

/// As etcd.
constexpr std::size_t kBlob = 32 * 1024;
/// Handed to the I/O thread at once.
constexpr std::size_t kHandedOver = 8 * kBlob;
/// On their way to the client at most, and what may be left before more is made.
constexpr std::size_t kHighWater = 2u << 20;
constexpr std::size_t kLowWater = 1u << 20;
/// Behind each exchange::Export::kPaceBytes while the log is slow: 50 MB/s.
constexpr base::Duration kPause = std::chrono::milliseconds(5);
constexpr int kNice = 5;

/// A SnapshotResponse.
std::string response(std::uint64_t remaining, base::BytesView blob, const std::string& version) {
  std::string out;
  out.reserve(blob.size() + version.size() + 20);
  if (remaining != 0) {
    out += '\x10';
    proto::append_varint(remaining, out);
  }
  out += '\x1a';
  proto::append_varint(blob.size(), out);
  out += blob;
  if (!version.empty()) {
    out += '\x22';
    proto::append_varint(version.size(), out);
    out += version;
  }
  return out;
}

}  // namespace

/// What worker and I/O thread share of one stream.
class SnapshotSender::Stream {
 public:
  using Self = std::shared_ptr<Stream>;

  explicit Stream(net::CallRef call) : home_(call->executor()), call_(std::move(call)) {}

  static void watch(const Self& self) {
    net::GrpcCall& call = *self->call_;
    call.set_on_writable(kLowWater, [self] {
      if (self->call_) self->taken(0, self->call_->pending_send_bytes());
    });
    call.set_on_cancelled([self](net::CancelReason) {
      self->give_up();
      self->call_.reset();
    });
  }

  /// The worker's: waits until there is room, then hands the messages to the call's thread. False: nobody wants them.
  static bool send(const Self& self, std::vector<std::string> messages, std::size_t bytes) {
    {
      std::unique_lock lock(self->mutex_);
      self->room_.wait(lock, [&] { return self->over_ || self->posted_ + self->pending_ < kHighWater; });
      if (self->over_) return false;
      self->posted_ += bytes;
    }
    self->home_.post([self, bytes, messages = std::move(messages)]() mutable {
      if (!self->call_ || self->call_->done()) return self->give_up();
      for (std::string& message : messages) self->call_->send_message(std::move(message));
      self->taken(bytes, self->call_->pending_send_bytes());
    });
    return true;
  }
  static void finish(const Self& self, net::Status status) {
    self->give_up();
    self->home_.post([self, status = std::move(status)] {
      if (self->call_) self->call_->finish(status);
      self->call_.reset();
    });
  }
  bool over() {
    std::lock_guard lock(mutex_);
    return over_;
  }
  void give_up() {
    {
      std::lock_guard lock(mutex_);
      over_ = true;
    }
    room_.notify_all();
  }
  /// Sleeps, unless there is nothing to wait for.
  void pause(base::Duration time) {
    std::unique_lock lock(mutex_);
    room_.wait_for(lock, time, [this] { return over_; });
  }

  /// The worker's thread has ended; guarded by the sender's mutex.
  bool ended = false;

 private:
  void taken(std::size_t from_posted, std::size_t pending) {
    {
      std::lock_guard lock(mutex_);
      posted_ -= from_posted;
      pending_ = pending;
    }
    room_.notify_all();
  }

  net::Executor& home_;
  net::CallRef call_;  // the call's thread only
  std::mutex mutex_;
  std::condition_variable room_;
  // Guarded by mutex_.
  std::size_t posted_ = 0;   // handed over, not sent yet
  std::size_t pending_ = 0;  // sent, not taken by the client yet
  bool over_ = false;
};

void SnapshotSender::start(net::CallRef call) {
  const auto stream = std::make_shared<Stream>(std::move(call));
  {
    std::lock_guard lock(mutex_);
    std::erase_if(workers_, [](Worker& worker) {
      if (worker.stream->ended && worker.thread.joinable()) worker.thread.join();
      return worker.stream->ended;
    });
    if (stopping_ || workers_.size() >= kMostStreams)
      return Stream::finish(stream, status_of(base::Error(stopping_ ? Errc::kStopped : Errc::kTooManyRequests)));
    workers_.push_back({{}, stream});
  }
  Stream::watch(stream);
  // A commit first: the snapshot is of what is in the database, and that should be everything.
  member_.apply_loop().post([this, stream](ApplyLoop& loop) {
    loop.state().backend.request_commit([this, stream](const base::Result<backend::Commit>& committed) {
      // In the commit loop's thread, before its next transaction: a read transaction begun here sees exactly that commit.
      auto exported = std::make_shared<base::Result<std::unique_ptr<exchange::Export>>>(
          committed ? exchange::Export::begin(member_.backend().database()) : committed.error());
      std::lock_guard lock(mutex_);
      if (stopping_) return Stream::finish(stream, status_of(base::Error(Errc::kStopped)));
      const auto mine = std::find_if(workers_.begin(), workers_.end(), [&](const Worker& worker) { return worker.stream == stream; });
      if (mine == workers_.end()) return;
      mine->thread = std::thread([this, stream, exported] {
        pthread_setname_np(pthread_self(), "snapshot");
        // Behind the threads that serve, also where those run in real time.
        const sched_param ordinary{};
        ::sched_setscheduler(0, SCHED_BATCH, &ordinary);
        ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNice);
        run(stream, std::move(*exported));
        std::lock_guard ending(mutex_);
        stream->ended = true;
      });
    });
  });
  member_.wake_core();
}

void SnapshotSender::stop() {
  std::list<Worker> workers;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    workers.swap(workers_);
  }
  for (Worker& worker : workers) Stream::finish(worker.stream, status_of(base::Error(Errc::kStopped)));
  for (Worker& worker : workers)
    if (worker.thread.joinable()) worker.thread.join();
}

void SnapshotSender::run(const std::shared_ptr<Stream>& stream, base::Result<std::unique_ptr<exchange::Export>> exported) {
  base::Logger& log = member_.logger();
  const base::Instant begin = member_.clock().now();
  base::Duration quickest = base::Duration::max();
  const auto pace = [&](std::size_t) -> base::Result<> {
    if (stream->over()) return base::Error(Errc::kContextCanceled);
    if (member_.clock().now() - begin > kLongest) return base::Error(Errc::kTimeout, "the client takes the snapshot too slowly");
    const base::Duration sync = member_.wal_loop().recent_sync();
    quickest = std::min(quickest, sync);
    if (sync > 2 * quickest) stream->pause(kPause);
    return {};
  };
  const auto send_all = [&]() -> base::Result<> {
    if (!exported) return exported.error();
    exchange::Export& source = **exported;
    ETCDPP_ASSIGN(const std::uint64_t total, source.measure(pace));
    log.info("sending database snapshot to client",
             {{"total-bytes", total}, {"size", base::human_bytes(total)}, {"storage-version", source.storage_version()}});

    std::uint64_t remaining = total;
    std::string blob;
    std::vector<std::string> messages;
    std::size_t gathered = 0;
    const auto hand_over = [&]() -> base::Result<> {
      if (messages.empty()) return {};
      if (!Stream::send(stream, std::exchange(messages, {}), std::exchange(gathered, 0))) return base::Error(Errc::kContextCanceled);
      return {};
    };
    const auto end_blob = [&]() -> base::Result<> {
      remaining -= blob.size();
      gathered += blob.size();
      messages.push_back(response(remaining, blob, source.storage_version()));
      blob.clear();
      return gathered >= kHandedOver ? hand_over() : base::Result<>();
    };
    const auto sink = [&](base::BytesView bytes) -> base::Result<> {
      while (!bytes.empty()) {
        const std::size_t n = std::min(bytes.size(), kBlob - blob.size());
        blob += bytes.substr(0, n);
        bytes.remove_prefix(n);
        if (blob.size() == kBlob) ETCDPP_TRY(end_blob());
      }
      return {};
    };
    ETCDPP_ASSIGN(const auto digest, source.write(sink, pace));
    if (!blob.empty()) ETCDPP_TRY(end_blob());
    messages.push_back(response(0, {digest.data(), digest.size()}, source.storage_version()));
    gathered += digest.size();
    ETCDPP_TRY(hand_over());
    const base::Duration took = member_.clock().now() - begin;
    member_.metrics().database_snapshot.observe(took);
    log.info("sent database snapshot to client", {{"total-bytes", total},
                                                  {"size", base::human_bytes(total)},
                                                  {"took", config::go_duration(took)},
                                                  {"consistent-index", source.consistent_index()}});
    return {};
  };
  const base::Result<> sent = send_all();
  exported = base::Error(Errc::kContextCanceled);  // the read transaction ends here
  if (sent) return Stream::finish(stream, net::Status{net::StatusCode::kOk, {}});
  log.warn("failed to send database snapshot to client", {{"error", sent.error().message()}});
  if (is_fatal(sent.error())) member_.failure().report("database cannot be read", sent.error());
  Stream::finish(stream, status_of(sent.error()));
}

}  // namespace etcdpp::server

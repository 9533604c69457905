#include <etcdpp/net/listener.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <etcdpp/net/errc.h>

#include "connection.h"
#include "listener_core.h"

namespace etcdpp::net {
namespace {

constexpr int kBacklog = 4096;
constexpr int kAcceptsPerTurn = 64;
/// etcd keeps that many files for itself (peers, WAL, snapshots) and accepts as many connections as are left.
constexpr std::size_t kReservedFiles = 150;
constexpr base::Duration kAcceptRetry = std::chrono::milliseconds(100);
constexpr base::Duration kHardStop = std::chrono::milliseconds(300);

void set_option(int fd, int level, int option, int value) { ::setsockopt(fd, level, option, &value, sizeof value); }

std::string name_of(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return std::string(text) + ":" + std::to_string(ntohs(v4.sin_port));
  }
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return "[" + std::string(text) + "]:" + std::to_string(ntohs(v6.sin6_port));
  }
  return "@";
}

base::Result<std::size_t> connection_limit(const Limits& limits) {
  if (limits.max_connections != 0) return limits.max_connections;
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return base::errno_error(errno, "limit of open files");
  if (files.rlim_cur <= kReservedFiles) return base::Error(Errc::kTooFewFiles, "the limit is " + std::to_string(files.rlim_cur));
  return static_cast<std::size_t>(files.rlim_cur - kReservedFiles);
}

/// Binds and listens; the descriptor.
base::Result<int> bind_socket(const ListenUrl& url, std::string_view text) {
  sockaddr_storage address{};
  socklen_t size = 0;
  if (url.unix_socket) {
    auto& name = reinterpret_cast<sockaddr_un&>(address);
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, url.host.c_str(), url.host.size() + 1);
    size = sizeof(sockaddr_un);
    // A socket that a dead process left behind is in the way; anything else there stays.
    struct stat there{};
    if (::stat(url.host.c_str(), &there) == 0 && S_ISSOCK(there.st_mode)) ::unlink(url.host.c_str());
  } else if (auto& v4 = reinterpret_cast<sockaddr_in&>(address); ::inet_pton(AF_INET, url.host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(url.port);
    size = sizeof v4;
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
    ::inet_pton(AF_INET6, url.host.c_str(), &v6.sin6_addr);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(url.port);
    size = sizeof v6;
  }
  const int fd = ::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return base::errno_error(errno, "socket for " + std::string(text));
  if (!url.unix_socket) set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0 || ::listen(fd, kBacklog) != 0) {
    const int saved = errno;
    ::close(fd);
    return base::errno_error(saved, "listen on " + std::string(text));
  }
  return fd;
}

/// Accepts in one I/O thread and hands the sockets round.
class Acceptor final : public FdHandler, private Timer {
 public:
  Acceptor(std::shared_ptr<ListenerCore> core, IoThread& io, int fd) : core_(std::move(core)), io_(io), fd_(fd) {}
  ~Acceptor() override {
    Timer::cancel();
    ::close(fd_);
    if (core_->unix_socket) ::unlink(core_->address.c_str());
  }

  IoThread& io() { return io_; }

  void start() {
    if (closed_ || watching_) return;
    watching_ = true;
    io_.add_fd(fd_, EPOLLIN, *this);
  }
  void close() {
    pause();
    closed_ = true;
  }

  void on_ready(std::uint32_t) override {
    for (int i = 0; i < kAcceptsPerTurn && watching_; ++i) {
      if (core_->open_connections.load() >= core_->max_connections) {
        pause();
        core_->accept_waits = true;
        // Somebody may have left between the look and the flag.
        if (core_->open_connections.load() < core_->max_connections && core_->accept_waits.exchange(false)) start();
        return;
      }
      sockaddr_storage address{};
      socklen_t size = sizeof address;
      const int fd = ::accept4(fd_, reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK) return;
        // Out of files or memory: the connection stays in the backlog; ask again a little later instead of spinning.
        core_->logger.warn("could not accept a connection", {{"address", core_->address}, {"error", std::strerror(errno)}});
        pause();
        io_.arm(*this, io_.now() + kAcceptRetry);
        return;
      }
      hand_out(fd, address);
    }
  }

 private:
  void on_timer() override { start(); }
  void pause() {
    if (std::exchange(watching_, false)) io_.remove_fd(fd_);
  }

  void hand_out(int fd, const sockaddr_storage& address) {
    core_->open_connections.fetch_add(1);
    core_->accepted.fetch_add(1, std::memory_order_relaxed);
    if (address.ss_family != AF_UNIX) {
      set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
      set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
      set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
      set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 30);
    }
    IoThread& target = core_->threads.next();
    auto adopt = [core = core_, fd, peer = name_of(address), &target]() mutable {
      // The connection belongs to its thread, which destroys it through retire.
      new Connection(core, target.local<ThreadState>(), plain_stream(fd), std::move(peer));
    };
    if (target.is_current()) {
      adopt();
    } else {
      target.post(std::move(adopt));
    }
  }

  const std::shared_ptr<ListenerCore> core_;
  IoThread& io_;
  const int fd_;
  bool watching_ = false;
  bool closed_ = false;
};

}  // namespace

struct Listener::Core {
  std::shared_ptr<ListenerCore> shared;
  std::unique_ptr<Acceptor> acceptor;  // used in its thread only, once started
  bool started = false;
  bool drained = false;

  /// `act` on every connection of this listener, in their threads; returns when it has been done.
  void for_each_connection(void (Connection::*act)()) {
    shared->threads.run_in_each([this, act](IoThread& io) {
      const std::vector<Connection*> all = io.local<ThreadState>().connections();
      for (Connection* connection : all) {
        if (connection->core() == shared.get()) (connection->*act)();
      }
    });
  }

  bool wait_until_gone(base::Duration longest) {
    std::unique_lock lock(shared->mutex);
    return shared->connections_gone.wait_for(lock, longest, [this] { return shared->open_connections.load() == 0; });
  }
};

base::Result<std::unique_ptr<Listener>> Listener::open(std::string_view url, IoThreads& threads, Protocols protocols,
                                                       const Limits& limits, base::Logger& logger) {
  ETCDPP_ASSIGN(const ListenUrl parsed, ListenUrl::parse(url));
  if (parsed.tls) return base::Error(Errc::kTlsNotConfigured, std::string(url));
  ETCDPP_ASSIGN(const std::size_t max_connections, connection_limit(limits));
  ETCDPP_ASSIGN(const int fd, bind_socket(parsed, url));
  auto shared = std::make_shared<ListenerCore>(threads, protocols, limits, logger);
  shared->max_connections = max_connections;
  shared->unix_socket = parsed.unix_socket;
  if (parsed.unix_socket) {
    shared->address = parsed.host;
  } else {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    shared->address = name_of(address);
    shared->port = ntohs(address.ss_family == AF_INET ? reinterpret_cast<sockaddr_in&>(address).sin_port
                                                      : reinterpret_cast<sockaddr_in6&>(address).sin6_port);
  }
  auto core = std::make_shared<Core>();
  IoThread& io = threads.next();
  core->acceptor = std::make_unique<Acceptor>(shared, io, fd);
  shared->resume_accept = [weak = std::weak_ptr(core), &io] {
    io.post([weak] {
      if (const auto alive = weak.lock(); alive && alive->acceptor) alive->acceptor->start();
    });
  };
  core->shared = std::move(shared);
  return std::unique_ptr<Listener>(new Listener(std::move(core)));
}

Listener::Listener(std::shared_ptr<Core> core) : core_(std::move(core)) {}

Listener::~Listener() { stop({}); }

const std::string& Listener::address() const { return core_->shared->address; }
std::uint16_t Listener::port() const { return core_->shared->port; }

void Listener::start() {
  core_->started = true;
  core_->acceptor->io().post([core = core_] {
    if (core->acceptor) core->acceptor->start();
  });
}

void Listener::drain() {
  if (!core_->started || std::exchange(core_->drained, true)) return;
  core_->shared->draining = true;
  IoThread* const home = &core_->acceptor->io();
  core_->shared->threads.run_in_each([this, home](IoThread& io) {
    if (&io != home) return;
    core_->acceptor->close();
    io.retire(std::move(core_->acceptor));
  });
  // Twice round the threads: a socket handed out before the acceptor closed is a connection by now.
  core_->for_each_connection(&Connection::drain);
}

void Listener::stop(base::Duration grace) {
  if (!core_->started) {
    core_->acceptor.reset();
    return;
  }
  drain();
  if (core_->wait_until_gone(grace)) return;
  core_->for_each_connection(&Connection::shut_down);
  while (!core_->wait_until_gone(kHardStop)) core_->for_each_connection(&Connection::shut_down_hard);
}

ListenerStats Listener::stats() const {
  const ListenerCore& shared = *core_->shared;
  return {shared.accepted.load(std::memory_order_relaxed), shared.open_connections.load(std::memory_order_relaxed),
          shared.received_bytes.load(std::memory_order_relaxed), shared.sent_bytes.load(std::memory_order_relaxed)};
}

}  // namespace etcdpp::net

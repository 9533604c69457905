#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include <etcdpp/base/logger.h>
#include <etcdpp/net/io_thread.h>
#include <etcdpp/net/limits.h>
#include <etcdpp/net/listener.h>

namespace etcdpp::net {

/// What a listener shares with its connections in all I/O threads.
struct ListenerCore {
  ListenerCore(IoThreads& io_threads, Protocols p, const Limits& l, base::Logger& log)
      : threads(io_threads), protocols(p), limits(l), logger(log) {}

  // Constant after open().
  IoThreads& threads;
  const Protocols protocols;
  const Limits limits;
  base::Logger& logger;
  std::string address;
  std::uint16_t port = 0;
  bool unix_socket = false;
  std::size_t max_connections = 0;

  // Any thread.
  std::atomic<std::uint64_t> accepted = 0;
  std::atomic<std::uint64_t> open_connections = 0;
  std::atomic<std::uint64_t> received_bytes = 0;
  std::atomic<std::uint64_t> sent_bytes = 0;
  std::atomic<bool> draining = false;
  std::atomic<bool> accept_waits = false;  // the acceptor sleeps until a connection leaves
  std::function<void()> resume_accept;     // set before start, callable from any thread

  std::mutex mutex;
  std::condition_variable connections_gone;

  void connection_closed() {
    if (open_connections.fetch_sub(1) == 1) {
      std::lock_guard lock(mutex);
      connections_gone.notify_all();
    }
    if (accept_waits.exchange(false)) resume_accept();
  }
};

}  // namespace etcdpp::net

#pragma once

#include <functional>
#include <memory>
#include <string>

#include <etcdpp/base/clock.h>
#include <etcdpp/base/env.h>
#include <etcdpp/base/logger.h>
#include <etcdpp/base/result.h>
#include <etcdpp/config/config.h>

namespace etcdpp::server {

/// One member, running: its loops on their threads, its listeners, its services. What etcdppd is around.
///
/// Threads: start() and stop() from the thread that owns it; the callback comes from another.
/// Ownership: configuration, environment, clock and logger outlive it.
///
///     auto server = Server::start(config, posix_env(), clock, logger, seed, on_failure);
///     … wait for a signal …
///     (*server)->stop();
class Server {
 public:
  /// Opens the data directory, binds the listeners and starts; clients are served as soon as the member has published
  /// itself through the log. The error is one line that says what to do.
  /// `on_failure` is called once if the member can no longer trust its disk: log is written, end the process at once.
  static base::Result<std::unique_ptr<Server>> start(const config::Config& config, base::Env& env, const base::Clock& clock,
                                                     base::Logger& logger, std::uint64_t seed,
                                                     std::function<void(const base::Error&)> on_failure);
  /// Stops hard if stop() was not called.
  ~Server();

  /// Takes no more connections, lets calls finish for a moment, ends the loops, commits what is applied. Idempotent.
  void stop();

 private:
  class Running;
  explicit Server(std::unique_ptr<Running> running);
  std::unique_ptr<Running> running_;
};

}  // namespace etcdpp::server

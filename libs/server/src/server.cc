#include <etcdpp/server/server.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include <etcdpp/net/grpc_server.h>
#include <etcdpp/net/http1.h>
#include <etcdpp/net/io_thread.h>
#include <etcdpp/net/listener.h>

#include "http/endpoints.h"
#include "member.h"
#include "memory_lock.h"
#include "metrics/metrics_page.h"
#include "reader_pool.h"
#include "rpc/cluster_service.h"
#include "rpc/health_service.h"
#include "rpc/interceptors.h"
#include "rpc/kv_service.h"
#include "rpc/lease_service.h"
#include "rpc/maintenance_service.h"
#include "rpc/watch_service.h"
#include "threads.h"

namespace etcdpp::server {

namespace {

/// Time that open calls get to finish when the server stops.
constexpr base::Duration kDrainTime = std::chrono::seconds(1);

/// A client that takes nothing of what it has asked for is given up after this long; until then it may hold back a compaction.
constexpr base::Duration kNoProgress = std::chrono::seconds(30);

net::Limits limits_of(const config::Config& config) {
  net::Limits limits;
  limits.max_receive_message = config.max_request_bytes + 512 * 1024;
  limits.max_http1_body = limits.max_receive_message;
  limits.write_timeout = kNoProgress;
  limits.max_concurrent_streams = config.max_concurrent_streams;
  limits.keepalive_min_time = config.grpc_keepalive_min_time;
  limits.keepalive_interval = config.grpc_keepalive_interval;
  limits.keepalive_timeout = config.grpc_keepalive_timeout;
  return limits;
}

}  // namespace

/// The parts in the order in which they stand on each other; destroyed in reverse.
class Server::Running {
 public:
  Running(const config::Config& config, const base::Clock& clock, base::Logger& logger)
      : config_(config), logger_(logger), io_(std::max(1u, std::min(std::thread::hardware_concurrency(), 8u)), clock), health_(logger) {}
  ~Running() { stop(); }

  base::Result<> start(base::Env& env, const base::Clock& clock, std::uint64_t seed,
                       std::function<void(const base::Error&)> on_failure);
  void stop();

 private:
  base::Result<> bind_listeners();
  void add_services(std::uint64_t seed);
  void serve();

  const config::Config& config_;
  base::Logger& logger_;
  net::GrpcServer grpc_;
  net::HttpServer http_;
  net::HttpServer monitoring_;
  ClientVersions client_versions_;
  net::IoThreads io_;
  std::unique_ptr<Member> member_;
  ReaderPool readers_;
  HealthService health_;
  std::unique_ptr<KvService> kv_;
  std::unique_ptr<LeaseService> lease_;
  std::unique_ptr<WatchService> watch_;
  std::unique_ptr<ClusterService> cluster_;
  std::unique_ptr<MaintenanceService> maintenance_;
  std::unique_ptr<GrpcMetrics> grpc_metrics_;
  std::unique_ptr<MetricsPage> metrics_page_;
  std::unique_ptr<Threads> threads_;
  std::mutex listeners_mutex_;
  std::vector<std::unique_ptr<net::Listener>> listeners_;  // guarded by listeners_mutex_ once started
  std::vector<std::unique_ptr<net::Listener>> monitoring_listeners_;
  std::atomic<bool> stopped_{false};
};

base::Result<> Server::Running::bind_listeners() {
  const net::Limits limits = limits_of(config_);
  const bool split = !config_.listen_client_http_urls.empty();
  const auto open = [&](const config::Url& url, net::Protocols protocols, auto& listeners) -> base::Result<> {
    ETCDPP_ASSIGN(auto listener, net::Listener::open(url.text(), io_, protocols, limits, logger_));
    listeners.push_back(std::move(listener));
    return {};
  };
  for (const config::Url& url : config_.listen_client_urls) ETCDPP_TRY(open(url, {&grpc_, split ? nullptr : &http_}, listeners_));
  for (const config::Url& url : config_.listen_client_http_urls) ETCDPP_TRY(open(url, {nullptr, &http_}, listeners_));
  for (const config::Url& url : config_.listen_metrics_urls) ETCDPP_TRY(open(url, {nullptr, &monitoring_}, monitoring_listeners_));
  return {};
}

base::Result<> Server::Running::start(base::Env& env, const base::Clock& clock, std::uint64_t seed,
                                      std::function<void(const base::Error&)> on_failure) {
  logger_.info("configuring client listeners", {{"listen-client-urls", config::url_texts(config_.listen_client_urls)}});
  ETCDPP_TRY(bind_listeners());
  if (config_.memory_mlock) ETCDPP_TRY(lock_memory());
  ETCDPP_ASSIGN(member_, Member::open({
                             .config = config_,
                             .env = env,
                             .clock = clock,
                             .logger = logger_,
                             .seed = seed,
                             .on_failure = std::move(on_failure),
                             .wake_core = [this] { if (threads_) threads_->wake_core(); },
                             .wake_commit = [this] { member_->commit_loop().wake(); },
                             .on_ready = [this] { serve(); },
                             .threads = true,
                         }));
  add_services(seed);
  threads_ = std::make_unique<Threads>(*member_, io_, *watch_, readers_);
  threads_->start();
  maintenance_->defragment_at_start();
  for (const auto& listener : monitoring_listeners_) {
    listener->start();
    logger_.info("serving metrics", {{"address", listener->address()}});
  }
  threads_->wake_core();
  return {};
}

void Server::Running::add_services(std::uint64_t seed) {
  kv_ = std::make_unique<KvService>(*member_, readers_);
  lease_ = std::make_unique<LeaseService>(*member_);
  watch_ = std::make_unique<WatchService>(*member_, seed + 1);
  cluster_ = std::make_unique<ClusterService>(*member_);
  maintenance_ = std::make_unique<MaintenanceService>(*member_, readers_, health_);
  for (unsigned i = 0; i < io_.size(); ++i) {
    kv_->add_thread(io_[i]);
    watch_->add_thread(io_[i]);
  }
  add_interceptors(grpc_, *member_, client_versions_);
  kv_->add_to(grpc_);
  lease_->add_to(grpc_);
  watch_->add_to(grpc_);
  cluster_->add_to(grpc_);
  maintenance_->add_to(grpc_);
  health_.add_to(grpc_);
  // etcd's answers to browsers; the listeners of --listen-metrics-urls have none of them.
  http_.add_common_header("Access-Control-Allow-Headers", "accept, content-type, authorization");
  http_.add_common_header("Access-Control-Allow-Methods", "POST, GET, OPTIONS, PUT, DELETE");
  http_.add_common_header("Access-Control-Allow-Origin", "*");
  grpc_metrics_ = std::make_unique<GrpcMetrics>(grpc_, io_.size());
  grpc_.set_observer(grpc_metrics_.get());
  metrics_page_ = std::make_unique<MetricsPage>(*member_, *watch_, *grpc_metrics_, client_versions_);
  add_endpoints(http_, *member_, *metrics_page_, readers_);
  add_monitoring_endpoints(monitoring_, *member_, *metrics_page_, readers_);
}

void Server::Running::serve() {
  std::lock_guard lock(listeners_mutex_);
  if (stopped_) return;  // before it was ready
  logger_.info("ready to serve client requests");
  health_.set_serving(true);
  for (const auto& listener : listeners_) {
    listener->start();
    logger_.info("serving client traffic insecurely; this is strongly discouraged!",
                 {{"traffic", config_.listen_client_http_urls.empty() ? "grpc+http" : "grpc"}, {"address", listener->address()}});
  }
}

void Server::Running::stop() {
  if (stopped_.exchange(true)) return;
  logger_.info("closing etcd server", {{"name", config_.name}, {"data-dir", config_.effective_data_dir()}});
  std::vector<std::unique_ptr<net::Listener>> listeners;
  {
    // serve() may be running; the mutex is not held while the I/O threads, in which it runs, are waited for.
    std::lock_guard lock(listeners_mutex_);
    listeners.swap(listeners_);
  }
  std::ranges::move(monitoring_listeners_, std::back_inserter(listeners));
  for (const auto& listener : listeners) listener->drain();
  for (const auto& listener : listeners) listener->stop(kDrainTime);
  listeners.clear();
  if (maintenance_) maintenance_->stop();
  if (threads_) threads_->stop();
  logger_.info("closed etcd server", {{"name", config_.name}, {"data-dir", config_.effective_data_dir()}});
}

Server::Server(std::unique_ptr<Running> running) : running_(std::move(running)) {}
Server::~Server() = default;

base::Result<std::unique_ptr<Server>> Server::start(const config::Config& config, base::Env& env, const base::Clock& clock,
                                                    base::Logger& logger, std::uint64_t seed,
                                                    std::function<void(const base::Error&)> on_failure) {
  auto running = std::make_unique<Running>(config, clock, logger);
  ETCDPP_TRY(running->start(env, clock, seed, std::move(on_failure)));
  return std::unique_ptr<Server>(new Server(std::move(running)));
}

void Server::stop() { running_->stop(); }

}  // namespace etcdpp::server

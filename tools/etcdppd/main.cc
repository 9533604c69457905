// etcdppd: flags in, library call, exit status out.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <pthread.h>
#include <string>
#include <unistd.h>
#include <vector>

#include <google/protobuf/stubs/logging.h>

#include <etcdpp/backend/map_fault.h>
#include <etcdpp/base/clock.h>
#include <etcdpp/base/env.h>
#include <etcdpp/base/random.h>
#include <etcdpp/config/flags.h>
#include <etcdpp/config/zap_logger.h>
#include <etcdpp/server/server.h>

extern char** environ;  // NOLINT: POSIX declares it nowhere

namespace {

using namespace etcdpp;

std::vector<std::string> environment() {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable; ++variable) variables.emplace_back(*variable);
  return variables;
}

/// SIGINT and SIGTERM are taken by sigwait in the main thread, so that no handler runs anywhere; what would kill without
/// need is ignored.
sigset_t block_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file at its size limit is a full disk, and says so by EFBIG
  return set;
}

/// Ten threads with stacks of 8 MB each would be a third of a small container's memory, on paper. Sanitizers need theirs.
void use_small_stacks() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  constexpr std::size_t kStackSize = 2u << 20;
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return;
  if (pthread_attr_setstacksize(&attributes, kStackSize) == 0) pthread_setattr_default_np(&attributes);
  pthread_attr_destroy(&attributes);
#endif
}

std::int64_t wall_microseconds() {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

/// The parent sees death by the signal itself, as with etcd; the first process of a container cannot die so.
[[noreturn]] void die_by(int signal, const sigset_t& blocked) {
  if (getpid() == 1) std::_Exit(0);
  std::signal(signal, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &blocked, nullptr);
  raise(signal);
  std::_Exit(1);
}

config::ZapLogger* fault_logger = nullptr;

}  // namespace

int main(int argc, char** argv) {
  use_small_stacks();
  const sigset_t signals = block_signals();
  // It writes to standard error what strangers send (strings that are not UTF-8); they are answered, and that is enough.
  google::protobuf::SetLogHandler(nullptr);
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const config::CommandLine command = config::parse_command_line(argv[0], arguments, environment(), base::posix_env());
  std::fputs(command.out.c_str(), stdout);
  std::fputs(command.err.c_str(), stderr);
  if (!command.run && command.lines.empty()) return command.exit_code;

  const base::SystemClock clock;
  auto options = config::log_options(command.config.log_level, command.config.log_format, command.config.log_outputs);
  if (options) options->wall_microseconds = wall_microseconds;
  auto logger = options ? config::ZapLogger::open(*options, clock) : base::Result<std::unique_ptr<config::ZapLogger>>(options.error());
  if (!logger) {
    std::fprintf(stderr, "%s\n", logger.error().message().c_str());
    return 1;
  }
  for (const config::StartupLine& line : command.lines) (*logger)->write_fields(line.level, {}, line.message, line.fields);
  if (!command.run) return command.exit_code;

  // A page of the database that cannot be read where it is mapped is met as a signal, in any thread.
  fault_logger = logger->get();
  backend::install_map_fault_handler(
      {.tell = [](std::string_view what) { fault_logger->fatal("database cannot be used any more", {{"error", what}}); }});

  auto server = server::Server::start(command.config, base::posix_env(), clock, **logger, base::random_seed(),
                                      [](const base::Error&) { std::_Exit(1); });
  if (!server) {
    (*logger)->fatal("failed to start etcd", {{"error", server.error().message()}});
    return 1;
  }
  int signal = 0;
  while (sigwait(&signals, &signal) != 0) {
  }
  (*logger)->info("received signal; shutting down", {{"signal", signal == SIGINT ? "interrupt" : "terminated"}});
  (*server)->stop();
  server->reset();
  die_by(signal, signals);
}

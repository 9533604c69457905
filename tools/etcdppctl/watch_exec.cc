#include "watch_exec.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "go_text.h"
#include "printer.h"

namespace etcdpp::ctl {

Outcome<> run_for_event(const std::vector<std::string>& command, std::int64_t revision, const mvccpb::Event& event) {
  const auto failure = [&](const std::string& why) {
    std::string shown;
    for (const auto& word : command) shown += (shown.empty() ? "" : " ") + go_quote(word);
    return fail(kError, "command [" + shown + "] error (" + why + ")");
  };

  std::vector<std::string> settings{
      "ETCD_WATCH_REVISION=" + std::to_string(revision), "ETCD_WATCH_EVENT_TYPE=" + go_quote(event_name(event)),
      "ETCD_WATCH_KEY=" + go_quote(event.kv().key()), "ETCD_WATCH_VALUE=" + go_quote(event.kv().value())};
  std::vector<char*> environment;
  for (char** entry = environ; *entry; ++entry) environment.push_back(*entry);
  for (auto& setting : settings) environment.push_back(setting.data());
  environment.push_back(nullptr);
  std::vector<std::string> words = command;
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  pid_t child = 0;
  if (const int error = posix_spawnp(&child, arguments[0], nullptr, nullptr, arguments.data(), environment.data()))
    return failure(std::string("exec: ") + go_quote(command[0]) + ": " + std::strerror(error));
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return failure(std::strerror(errno));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (WIFEXITED(status)) return failure("exit status " + std::to_string(WEXITSTATUS(status)));
  return failure("signal: " + std::to_string(WTERMSIG(status)));
}

}  // namespace etcdpp::ctl

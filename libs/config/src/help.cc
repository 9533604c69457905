#include <optional>

#include <sys/utsname.h>

#include <etcdpp/config/flags.h>

#include "flag_table.h"

#ifndef ETCDPP_VERSION
#define ETCDPP_VERSION "unknown"
#endif

namespace etcdpp::config {

namespace {

constexpr std::string_view kGates[] = {"AllAlpha=true|false (ALPHA - default=false)",
                                       "AllBeta=true|false (BETA - default=false)",
                                       "CompactHashCheck=true|false (ALPHA - default=false)",
                                       "FastLeaseKeepAlive=true|false (BETA - default=true)",
                                       "InitialCorruptCheck=true|false (ALPHA - default=false)",
                                       "LeaseCheckpoint=true|false (ALPHA - default=false)",
                                       "LeaseCheckpointPersist=true|false (ALPHA - default=false)",
                                       "PriorityRequest=true|false (ALPHA - default=false)",
                                       "SetMemberLocalAddr=true|false (ALPHA - default=false)",
                                       "StopGRPCServiceOnDefrag=true|false (ALPHA - default=false)",
                                       "TxnModeWriteWithSharedBuffer=true|false (BETA - default=true)"};

}  // namespace

std::string help_text() {
  const Config defaults;
  std::string text;
  std::optional<Group> group;
  for (const Flag& flag : flag_table()) {
    if (group != flag.group) {
      group = flag.group;
      text += "\n" + std::string(group_title(flag.group)) + ":\n";
    }
    const std::string shown = flag.shown.empty() ? flag_text(flag, defaults) : std::string(flag.shown);
    text += "  --" + std::string(flag.name) + " '" + shown + "'\n    " + std::string(flag.help) + "\n";
    if (flag.name == "feature-gates") {
      for (const std::string_view gate : kGates) text += "    " + std::string(gate) + "\n";
    }
  }
  text += "\nWith an unsafe flag, what the cluster promised may no longer hold.\n";
  return text;
}

std::string version_text() {
  // Tools read the first line; the next three have etcd's names and tell the truth about this build.
  std::string machine = "unknown";
  std::string system = "unknown";
  if (utsname name{}; uname(&name) == 0) {
    machine = name.machine;
    system = name.sysname;
  }
  if (machine == "x86_64") machine = "amd64";
  if (machine == "aarch64") machine = "arm64";
  if (system == "Linux") system = "linux";
  return "etcd Version: " + std::string(kEtcdVersion) + "\n" +
         "Git SHA: etcdpp-" ETCDPP_VERSION "\n"
         "Go Version: none (C++, g++ " __VERSION__ ")\n"
         "Go OS/Arch: " + system + "/" + machine + "\n";
}

}  // namespace etcdpp::config

#include "process_stats.h"

#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>

#include <sys/resource.h>
#include <unistd.h>

namespace etcdpp::server {

namespace {

double limit_of(int resource) {
  rlimit limit{};
  if (getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) return 0;
  return limit.rlim_cur == RLIM_INFINITY ? static_cast<double>(std::numeric_limits<std::uint64_t>::max())
                                         : static_cast<double>(limit.rlim_cur);
}

std::uint64_t open_descriptors() {
  std::error_code error;
  std::uint64_t count = 0;
  for (std::filesystem::directory_iterator entry("/proc/self/fd", error), end; !error && entry != end; entry.increment(error)) ++count;
  return count == 0 ? 0 : count - 1;  // the directory's own
}

/// "btime 1700000000" of /proc/stat: when the machine started.
double boot_time() {
  std::ifstream file("/proc/stat");
  for (std::string word; file >> word;)
    if (double seconds = 0; word == "btime" && file >> seconds) return seconds;
  return 0;
}

/// The value under the column `name` of the two lines that begin with `group`.
std::uint64_t network_counter(const std::string& group, const std::string& name) {
  std::ifstream file("/proc/self/net/netstat");
  std::string heads;
  std::string values;
  while (std::getline(file, heads) && std::getline(file, values)) {
    if (!heads.starts_with(group)) continue;
    std::istringstream head(heads);
    std::istringstream value(values);
    std::string h;
    std::string v;
    while (head >> h && value >> v)
      if (h == name) return std::strtoull(v.c_str(), nullptr, 10);
  }
  return 0;
}

}  // namespace

ProcessStats ProcessStats::read() {
  ProcessStats stats;
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  // The second field is the program's name, in parentheses, and may hold anything; state is the third.
  if (const auto end = line.rfind(')'); end != std::string::npos) {
    std::istringstream rest(line.substr(end + 1));
    std::string skipped;
    for (int field = 3; field < 14; ++field) rest >> skipped;
    double user = 0;
    double system = 0;
    rest >> user >> system;
    for (int field = 16; field < 22; ++field) rest >> skipped;
    double start = 0;
    std::uint64_t resident_pages = 0;
    rest >> start >> stats.virtual_bytes >> resident_pages;
    const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
    stats.cpu_seconds = (user + system) / ticks;
    stats.start_time_seconds = boot_time() + start / ticks;
    stats.resident_bytes = resident_pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  }
  stats.virtual_limit_bytes = limit_of(RLIMIT_AS);
  stats.fd_limit = limit_of(RLIMIT_NOFILE);
  stats.open_fds = open_descriptors();
  stats.received_bytes = network_counter("IpExt:", "InOctets");
  stats.sent_bytes = network_counter("IpExt:", "OutOctets");
  return stats;
}

}  // namespace etcdpp::server

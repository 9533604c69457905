// The disk's own fdatasync, in the way of a write-ahead log: 8-byte-aligned records are appended to a file whose room was
// allocated before, each followed by fdatasync.
//
//   fdatasync_probe <directory> [records=2000] [record bytes=344]
//
// Prints one line of JSON: microseconds of write + fdatasync, and of fdatasync alone. The file is removed.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using SteadyClock = std::chrono::steady_clock;

double quantile(std::vector<double>& sorted, double q) { return sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))]; }

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: fdatasync_probe <directory> [records] [record bytes]\n");
    return 2;
  }
  const std::string path = std::string(argv[1]) + "/fdatasync_probe.tmp";
  const int records = argc > 2 ? std::max(std::atoi(argv[2]), 1) : 2000;
  const int bytes = ((argc > 3 ? std::max(std::atoi(argv[3]), 8) : 344) + 7) / 8 * 8;
  constexpr off_t kSegment = 64'000'000;
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (fd < 0 || ::posix_fallocate(fd, 0, std::max<off_t>(kSegment, static_cast<off_t>(records) * bytes)) != 0 || ::fsync(fd) != 0) {
    std::perror(path.c_str());
    return 1;
  }
  const std::string record(static_cast<std::size_t>(bytes), 'r');
  std::vector<double> whole, sync;
  const auto micros = [](SteadyClock::duration d) { return std::chrono::duration<double, std::micro>(d).count(); };
  for (int i = 0; i < records; ++i) {
    const auto begin = SteadyClock::now();
    if (::pwrite(fd, record.data(), record.size(), static_cast<off_t>(i) * bytes) != bytes) {
      std::perror("pwrite");
      return 1;
    }
    const auto written = SteadyClock::now();
    if (::fdatasync(fd) != 0) {
      std::perror("fdatasync");
      return 1;
    }
    const auto end = SteadyClock::now();
    whole.push_back(micros(end - begin));
    sync.push_back(micros(end - written));
  }
  ::close(fd);
  ::unlink(path.c_str());
  std::sort(whole.begin(), whole.end());
  std::sort(sync.begin(), sync.end());
  std::printf("{\"records\": %d, \"record_bytes\": %d, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"fdatasync_p50_us\": %.1f}\n",
              records, bytes, quantile(whole, 0.5), quantile(whole, 0.9), quantile(whole, 0.99), quantile(sync, 0.5));
  return 0;
}

#include "campaign.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace etcdpp::test {

bool read_numbers(int argc, char** argv, std::map<std::string, std::uint64_t>& numbers) {
  for (int i = 1; i < argc; i += 2) {
    const auto number = numbers.find(argv[i]);
    if (i + 1 == argc || number == numbers.end()) return false;
    char* end = nullptr;
    number->second = std::strtoull(argv[i + 1], &end, 0);
    if (*end != '\0' || end == argv[i + 1]) return false;
  }
  return true;
}

std::string campaign_home(const std::string& name) {
  std::error_code failed;
  const std::filesystem::path shared = "/dev/shm";
  const auto base = std::filesystem::is_directory(shared, failed) && ::access(shared.c_str(), W_OK) == 0 ? shared : std::filesystem::temp_directory_path();
  return base / ("etcdpp_" + name + "." + std::to_string(::getpid()));
}

}  // namespace etcdpp::test

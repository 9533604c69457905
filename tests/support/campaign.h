#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace etcdpp::test {

/// What a campaign's command line says: `--name number`, again and again, of those names that are in `numbers` already, with
/// what they are when nothing is said. False: something else.
bool read_numbers(int argc, char** argv, std::map<std::string, std::uint64_t>& numbers);

/// A place for a process's files, not made yet: in memory where that can be had, for nothing there depends on a disk.
std::string campaign_home(const std::string& name);

}  // namespace etcdpp::test

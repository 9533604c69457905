#pragma once

#include <stdlib.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include <etcdpp/backend/backend.h>

#include "support/database_options.h"

namespace etcdpp::fuzz {

/// The file of a small sound database of ours, made by the backend in three commits, so that there is a free list.
inline std::string made_database(const std::function<void(backend::WriteBuffer& buffer)>& fill) {
  std::string directory = (std::filesystem::temp_directory_path() / "etcdpp-fuzz-XXXXXX").string();
  if (!::mkdtemp(directory.data())) std::abort();
  {
    base::ManualClock clock;
    backend::Options options = test::database_options(directory, clock);
    options.map_size = 4 << 20;
    auto opened = backend::Backend::open(options);
    if (!opened) std::abort();
    for (int commit = 0; commit < 3; ++commit) {
      fill((*opened)->buffer());
      (*opened)->freeze();
      if (!(*opened)->commit_loop().step()) std::abort();
    }
  }
  std::ifstream file(directory + "/member/etcdpp/data.lmdb", std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::filesystem::remove_all(directory);
  // What was allocated and not written.
  bytes.resize(bytes.find_last_not_of('\0') / 4096 * 4096 + 4096);
  return bytes;
}

}  // namespace etcdpp::fuzz

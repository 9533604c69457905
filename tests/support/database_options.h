#pragma once

#include <string>

#include <etcdpp/backend/backend.h>
#include <etcdpp/base/clock.h>
#include <etcdpp/base/env.h>
#include <etcdpp/base/logger.h>

namespace etcdpp::test {

/// Options of a database for whoever has no member around it: on the machine's disk, silent, member 2 of cluster 1.
inline backend::Options database_options(const std::string& directory, const base::Clock& clock) {
  backend::Options options;
  options.data_dir = directory;
  options.env = &base::posix_env();
  options.clock = &clock;
  options.logger = &base::null_logger();
  options.cluster_id = 1;
  options.member_id = 2;
  return options;
}

}  // namespace etcdpp::test

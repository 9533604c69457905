#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "counter.h"
#include "families.h"

namespace etcdpp::server {

/// Calls by the version of the API that the client says it speaks: etcd_server_client_requests_total.
///
/// Threads: any. Bound: kVersions different ones; what further clients invent is counted as "other", so that nobody can
/// fill memory or a monitoring system with labels.
class ClientVersions {
 public:
  /// `version` empty: the client did not say.
  void count(std::string_view version, bool stream);
  void collect(Families& families) const;

 private:
  static constexpr std::size_t kVersions = 32;
  static constexpr std::size_t kMaxLength = 64;
  struct Version {
    std::string name;
    Counter unary, stream;
  };
  Version& find(std::string_view name);

  std::mutex adding_;
  std::array<std::unique_ptr<Version>, kVersions + 1> versions_;  // written under adding_, before known_ grows
  std::atomic<std::size_t> known_{0};
};

}  // namespace etcdpp::server

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/env.h>
#include <etcdpp/base/result.h>

namespace etcdpp::bolt {

/// SHA-256 over bytes that come one after the other.
class Sha256 {
 public:
  static constexpr std::size_t kSize = 32;
  using Digest = std::array<char, kSize>;

  Sha256();
  ~Sha256();
  void add(base::BytesView bytes);
  Digest digest();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

/// Of the first `length` bytes of a file.
base::Result<Sha256::Digest> sha256_of(base::File& file, std::uint64_t length, const std::function<void(std::uint64_t)>& progress);

}  // namespace etcdpp::bolt

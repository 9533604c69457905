#include "preallocation.h"

#include <algorithm>

#include "environment.h"

namespace etcdpp::backend {

namespace {

constexpr std::uint64_t kSmallestStep = 4u << 20;
constexpr std::uint64_t kLargestStep = 64u << 20;

// A thirty-second of the file: what is allocated ahead shall not be what a small database takes most of its disk for.
std::uint64_t step_at(std::uint64_t bytes) { return std::clamp(bytes / 32 / kSmallestStep * kSmallestStep, kSmallestStep, kLargestStep); }

}  // namespace

base::Result<> Preallocation::reserve(std::uint64_t bytes) {
  if (covers(bytes)) return {};
  const std::uint64_t step = step_at(bytes);
  const std::uint64_t wanted = std::min((bytes + step - 1) / step * step, map_size_);
  if (wanted <= reserved_) return {};
  if (auto allocated = file_->allocate(wanted); !allocated) {
    const std::error_code& code = allocated.error().code;
    if (code.category() == std::generic_category()) return engine_error(code.value(), allocated.error().context);
    return base::Error(std::move(allocated.error()));
  }
  reserved_ = wanted;
  return {};
}

base::Result<std::uint64_t> Preallocation::give_back(std::uint64_t bytes) {
  ETCDPP_ASSIGN(const std::uint64_t size, file_->size());
  const std::uint64_t left = size - std::min(size, bytes);
  ETCDPP_TRY(file_->truncate(left));
  return left;
}

}  // namespace etcdpp::backend

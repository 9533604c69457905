#include "preallocation.h"

#include <algorithm>

#include "environment.h"

namespace etcdpp::backend {

namespace {
constexpr std::uint64_t kSmallStep = 4u << 20;
constexpr std::uint64_t kLargeStep = 64u << 20;
}  // namespace

base::Result<> Preallocation::reserve(std::uint64_t bytes) {
  if (bytes <= reserved_) return {};
  const std::uint64_t step = bytes < kLargeStep ? kSmallStep : kLargeStep;
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

}  // namespace etcdpp::backend

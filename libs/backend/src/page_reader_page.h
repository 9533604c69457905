#pragma once

#include <memory>
#include <utility>

#include <etcdpp/backend/page_reader.h>

#include "page_view.h"

namespace etcdpp::backend {

/// A page and its bytes.
class PageReader::Page : public PageView {
 public:
  Page(std::uint64_t number, base::Bytes bytes) : Page(number, std::make_unique<base::Bytes>(std::move(bytes))) {}

 private:
  Page(std::uint64_t number, std::unique_ptr<base::Bytes> bytes) : PageView(number, *bytes), bytes_(std::move(bytes)) {}
  std::unique_ptr<base::Bytes> bytes_;
};

}  // namespace etcdpp::backend

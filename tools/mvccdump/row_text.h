#pragma once

#include <string>

#include "source.h"

namespace etcdpp::mvccdump {

/// A row of any bucket, decoded for people; what cannot be decoded is shown as bytes and says so. No password hashes.
struct RowText {
  std::string key;
  std::string value;
  bool decoded = true;
};
RowText row_text(Bucket bucket, base::BytesView key, base::BytesView value);

}  // namespace etcdpp::mvccdump

#pragma once

#include <cstdint>
#include <string>

#include <etcdpp/backend/bucket.h>
#include <etcdpp/base/bytes.h>
#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/revision.h>

namespace etcdpp::mvccdump {

/// Between double quotes, quotes escaped too.
std::string quoted(base::BytesView bytes);
/// "17.0".
std::string revision_text(const mvcc::Revision& revision);
/// `put key="k" create=17 mod=17 version=1 lease=0 value(3)="v16"`, `tombstone key="k"`.
std::string key_value_text(const mvcc::RowKey& row, const mvcc::KeyValue& kv);

/// A row of any bucket, decoded; what cannot be decoded is shown as bytes and says so.
struct RowText {
  std::string key;
  std::string value;
  bool decoded = true;
};
RowText row_text(backend::Bucket bucket, base::BytesView key, base::BytesView value);

}  // namespace etcdpp::mvccdump

#pragma once

#include <optional>

#include <etcdpp/backend/bucket.h>
#include <etcdpp/base/bytes.h>

namespace etcdpp::mvccdump {

/// Whose a row is that was found on a page without its tree: every kind of etcd's rows names itself. None: nobody's.
std::optional<backend::Bucket> guess_bucket(base::BytesView key, base::BytesView value);

}  // namespace etcdpp::mvccdump

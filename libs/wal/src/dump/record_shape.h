#pragma once

#include <etcdpp/wal/record.h>

namespace etcdpp::wal {

/// Whether a record's data are what etcd or we write for its type. No checksum covers the type: a changed one shows only here,
/// and always does, since no two types' data look alike (an entry's fields are its type, term and index, a hard state's its
/// term, vote and commit: a term is never 0, and a conf change never empty).
bool has_shape_of_its_type(const Record& record);

}  // namespace etcdpp::wal

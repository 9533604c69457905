#pragma once

#include "entry_view.h"

namespace etcdpp::wal {

/// The oldest etcd that knows everything in an entry: the highest of its messages', fields' and requests' versions. What no
/// version is known for counts as 3.0, as in etcd.
EtcdVersion minimal_version_of(const EntryView& entry);

}  // namespace etcdpp::wal

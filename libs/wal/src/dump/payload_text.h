#pragma once

#include <string>
#include <vector>

#include <etcdpp/base/bytes.h>
#include <etcdpp/wal/record.h>

#include "entry_view.h"
#include "text_out.h"

namespace etcdpp::wal {

/// Writes a record's payload into an open object, without secrets: bytes as base::printable, ids of members, leases and
/// requests in hexadecimal. Without `contents` only kinds and sizes are told. `entry` is the record's view, if it is an entry.
/// False, with as much of it withdrawn as cannot be believed, when the bytes are not what the record's type says.
bool describe_payload(const Record& record, const std::optional<EntryView>& entry, bool contents, TreeWriter& tree, std::string& out);

/// The same of a message by itself; false (and nothing written) when it cannot be read.
bool describe_message(base::BytesView bytes, const MessageType& type, TreeWriter& tree, std::string& out);

/// Where passwords and tokens lie in an entry's data, at any depth.
std::vector<base::BytesView> secret_places(const EntryView& entry);

/// Whether a damaged entry's contents may be shown when that was asked for: never where it might be a request of auth, in
/// which a changed byte can make a password look like something else.
bool cannot_hold_secrets(const EntryView& entry);

}  // namespace etcdpp::wal

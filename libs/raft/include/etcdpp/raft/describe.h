#pragma once

#include <span>
#include <string>

#include <etcdpp/raft/ready.h>
#include <etcdpp/raft/types.h>

/// Readable one-line (or few-line) forms of raft's structs, the same as etcd-raft prints; for logs and transcripts.
namespace etcdpp::raft {

/// A Go-quoted string: what is printable stays, the rest is escaped.
std::string quote(base::BytesView bytes);

std::string describe(const HardState& state);
std::string describe(const SoftState& state);
std::string describe(const ConfState& state);
std::string describe(const Snapshot& snapshot);
/// "1/12 EntryNormal \"data\"", "1/4 EntryConfChangeV2 v3 l2".
std::string describe(const Entry& entry);
/// One line per entry.
std::string describe(std::span<const Entry> entries);
std::string describe(const Message& message);
std::string describe(const Ready& ready);
/// "v1 l2 r3 u4".
std::string describe(std::span<const ConfChangeSingle> changes);
/// protobuf's text form, as it stands in log lines.
std::string describe(const ConfChangeV2& change);
std::string text_form(const ConfState& state);

}  // namespace etcdpp::raft

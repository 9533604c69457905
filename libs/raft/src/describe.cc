#include <etcdpp/raft/describe.h>

#include <fmt/format.h>

#include <etcdpp/raft/conf_change_codec.h>

namespace etcdpp::raft {

namespace {

/// One UTF-8 character at the start of `bytes`: its length, 0 if it is not one.
std::size_t utf8_length(base::BytesView bytes) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char first = byte(0);
  const std::size_t length = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
  if (length == 0 || length > bytes.size()) return 0;
  std::uint32_t code = length == 1 ? first : first & (0x7f >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if (byte(i) >> 6 != 2) return 0;
    code = code << 6 | (byte(i) & 0x3f);
  }
  constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return 0;
  return length;
}

std::string target(NodeId id) {
  if (id == kNone) return "None";
  if (id == kLocalAppendThread) return "AppendThread";
  if (id == kLocalApplyThread) return "ApplyThread";
  return fmt::format("{:x}", id);
}

std::string list(const std::vector<NodeId>& ids) { return fmt::format("[{}]", fmt::join(ids, " ")); }

std::string describe_indented(const std::string& indent, const Message& m) {
  std::string out = fmt::format("{}{}->{} {} Term:{} Log:{}/{}", indent, target(m.from), target(m.to), to_string(m.type), m.term,
                                m.log_term, m.index);
  if (m.reject) out += fmt::format(" Rejected (Hint: {})", m.reject_hint);
  if (m.commit != 0) out += fmt::format(" Commit:{}", m.commit);
  if (m.vote != kNone) out += fmt::format(" Vote:{}", m.vote);
  if (m.entries.size() == 1) {
    out += " Entries:[" + describe(m.entries.front()) + "]";
  } else if (!m.entries.empty()) {
    out += " Entries:[";
    for (const Entry& entry : m.entries) out += "\n" + indent + "  " + describe(entry);
    out += "\n" + indent + "]";
  }
  if (m.snapshot && !m.snapshot->empty()) out += "\n" + indent + "  Snapshot: " + describe(*m.snapshot);
  if (!m.responses.empty()) {
    out += " Responses:[";
    for (const Message& response : m.responses) out += "\n" + describe_indented(indent + "  ", response);
    out += "\n" + indent + "]";
  }
  return out;
}

}  // namespace

std::string quote(base::BytesView bytes) {
  std::string out = "\"";
  while (!bytes.empty()) {
    const auto c = static_cast<unsigned char>(bytes.front());
    const std::size_t length = utf8_length(bytes);
    if (length > 1) {
      out += bytes.substr(0, length);
      bytes.remove_prefix(length);
      continue;
    }
    bytes.remove_prefix(1);
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\a': out += "\\a"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\v': out += "\\v"; break;
      default:
        if (c >= 0x20 && c < 0x7f) out += static_cast<char>(c);
        else out += fmt::format("\\x{:02x}", c);
    }
  }
  return out + "\"";
}

std::string describe(const HardState& state) {
  return fmt::format("Term:{}{} Commit:{}", state.term, state.vote != kNone ? fmt::format(" Vote:{}", state.vote) : "", state.commit);
}

std::string describe(const SoftState& state) { return fmt::format("Lead:{} State:{}", state.lead, to_string(state.role)); }

std::string describe(const ConfState& state) {
  return fmt::format("Voters:{} VotersOutgoing:{} Learners:{} LearnersNext:{} AutoLeave:{}", list(state.voters),
                     list(state.voters_outgoing), list(state.learners), list(state.learners_next), state.auto_leave);
}

std::string describe(const Snapshot& snapshot) {
  return fmt::format("Index:{} Term:{} ConfState:{}", snapshot.metadata.index, snapshot.metadata.term,
                     describe(snapshot.metadata.conf_state));
}

std::string describe(const Entry& entry) {
  std::string data;
  if (entry.type == EntryType::kNormal) {
    data = quote(entry.data.view());
  } else if (const auto change = decode_conf_change(entry)) {
    data = describe(std::span<const ConfChangeSingle>(change->changes));
  } else {
    data = change.error().message();
  }
  return fmt::format("{}/{} {}{}{}", entry.term, entry.index, to_string(entry.type), data.empty() ? "" : " ", data);
}

std::string describe(std::span<const Entry> entries) {
  std::string out;
  for (const Entry& entry : entries) out += describe(entry) + "\n";
  return out;
}

std::string describe(const Message& message) { return describe_indented("", message); }

std::string describe(const Ready& ready) {
  std::string out;
  if (ready.soft_state) out += describe(*ready.soft_state) + "\n";
  if (!ready.hard_state.empty()) out += "HardState " + describe(ready.hard_state) + "\n";
  if (!ready.read_states.empty()) {
    std::string states;
    for (const ReadState& state : ready.read_states) {
      std::string bytes;
      for (const char c : state.context.view()) bytes += fmt::format("{}{}", bytes.empty() ? "" : " ", static_cast<unsigned char>(c));
      states += fmt::format("{}{{{} [{}]}}", states.empty() ? "" : " ", state.index, bytes);
    }
    out += "ReadStates [" + states + "]\n";
  }
  // In asynchronous mode the storage messages hold the entries.
  std::span<const Entry> entries = ready.entries;
  std::span<const Entry> committed = ready.committed_entries;
  for (const Message& m : ready.messages) {
    if (m.type == MessageType::kStorageAppend) entries = m.entries;
    if (m.type == MessageType::kStorageApply) committed = m.entries;
  }
  if (!entries.empty()) out += "Entries:\n" + describe(entries);
  if (ready.snapshot) out += "Snapshot " + describe(*ready.snapshot) + "\n";
  if (!committed.empty()) out += "CommittedEntries:\n" + describe(committed);
  if (!ready.messages.empty()) {
    out += "Messages:\n";
    for (const Message& m : ready.messages) out += describe(m) + "\n";
  }
  if (out.empty()) return "<empty Ready>";
  return fmt::format("Ready MustSync={}:\n{}", ready.must_sync, out);
}

std::string describe(std::span<const ConfChangeSingle> changes) {
  std::string out;
  for (const ConfChangeSingle& change : changes) {
    const char* verb = "unknown";
    switch (change.type) {
      case ConfChangeType::kAddNode: verb = "v"; break;
      case ConfChangeType::kAddLearnerNode: verb = "l"; break;
      case ConfChangeType::kRemoveNode: verb = "r"; break;
      case ConfChangeType::kUpdateNode: verb = "u"; break;
    }
    out += fmt::format("{}{}{}", out.empty() ? "" : " ", verb, change.node_id);
  }
  return out;
}

std::string describe(const ConfChangeV2& change) {
  std::string out = "transition:" + to_string(change.transition);
  for (const ConfChangeSingle& single : change.changes)
    out += fmt::format(" changes:{{type:{} node_id:{}}}", to_string(single.type), single.node_id);
  if (!change.context.empty()) out += " context:" + quote(change.context);
  return out;
}

std::string text_form(const ConfState& state) {
  std::string out;
  const auto list = [&](const char* name, const std::vector<NodeId>& ids) {
    for (NodeId id : ids) out += fmt::format("{}:{} ", name, id);
  };
  list("voters", state.voters);
  list("learners", state.learners);
  list("voters_outgoing", state.voters_outgoing);
  list("learners_next", state.learners_next);
  return out + fmt::format("auto_leave:{}", state.auto_leave);
}

}  // namespace etcdpp::raft

// etcd's former tree store as JSON (docs/formats/snap.md): the tree, the ring of its last 1,000 events, its counters.
// Built by replaying the operations that would have made it, numbered from 1.

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>

#include <etcdpp/base/bytes.h>
#include <etcdpp/wal/snapshot_file.h>

namespace etcdpp::wal {

namespace {

constexpr std::size_t kEventCapacity = 1000;

// Length of the UTF-8 sequence at the front, 0 when there is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto follows = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xbf) { return byte(i) >= low && byte(i) <= high; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef)
    return follows(1, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf) && follows(2) ? 3 : 0;
  if (first >= 0xf0 && first <= 0xf4)
    return follows(1, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf) && follows(2) && follows(3) ? 4 : 0;
  return 0;
}

// A JSON string as Go's encoder writes it, HTML characters escaped.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  const auto escape = [&](unsigned code) {
    char buffer[8];
    std::snprintf(buffer, sizeof buffer, "\\u%04x", code);
    out += buffer;
  };
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const char c = text[0];
    if (length == 0) out += "\\ufffd";
    else if (length > 1 && text.starts_with("\xe2\x80\xa8")) out += "\\u2028";
    else if (length > 1 && text.starts_with("\xe2\x80\xa9")) out += "\\u2029";
    else if (length > 1) out += text.substr(0, length);
    else if (c == '"' || c == '\\') out += {'\\', c};
    else if (c == '\n') out += "\\n";
    else if (c == '\r') out += "\\r";
    else if (c == '\t') out += "\\t";
    else if (c == '\b') out += "\\b";
    else if (c == '\f') out += "\\f";
    else if (static_cast<unsigned char>(c) < 0x20 || c == '<' || c == '>' || c == '&') escape(static_cast<unsigned char>(c));
    else out += c;
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out + "\"";
}

std::string quoted_list(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const std::string& item : items) out += (out.size() > 1 ? "," : "") + quoted(item);
  return out + "]";
}

class Document {
 public:
  Document() {
    for (const char* name : {"0", "1"}) root_.children[name] = std::make_unique<Node>();
  }

  // Directories on the way are made with it.
  void put(const char* action, std::initializer_list<std::string> path, const std::string& value) {
    const std::string index = std::to_string(++operations_);
    Node* at = &root_;
    std::string full;
    for (const std::string& part : path) {
      full += "/" + part;
      auto& child = at->children[part];
      if (!child) child = std::make_unique<Node>(Node{operations_, {}, {}, true});
      at = child.get();
    }
    at->is_directory = false;
    at->value = value;
    events_.push_back("{\"action\":\"" + std::string(action) + "\",\"node\":{\"key\":" + quoted(full) + ",\"value\":" +
                      quoted(value) + ",\"modifiedIndex\":" + index + ",\"createdIndex\":" + index + "}}");
    (std::string_view(action) == "set" ? sets_ : creates_)++;
  }

  std::string json() const {
    const std::string last = std::to_string(operations_);
    std::string out = "{\"Root\":";
    append(root_, "/", out);
    out += ",\"WatcherHub\":{\"EventHistory\":{\"Queue\":{\"Events\":[";
    // The ring: event number i lies in slot (i - 1) modulo its capacity.
    std::vector<const std::string*> slots(kEventCapacity);
    for (std::size_t i = 0; i < events_.size(); ++i) slots[i % kEventCapacity] = &events_[i];
    for (std::size_t i = 0; i < kEventCapacity; ++i) {
      if (i > 0) out += ',';
      out += slots[i] ? *slots[i] : "null";
    }
    const std::size_t kept = std::min(events_.size(), kEventCapacity);
    const std::size_t back = events_.size() % kEventCapacity;
    const std::size_t front = kept < kEventCapacity ? 0 : back;
    out += "],\"Size\":" + std::to_string(kept) + ",\"Front\":" + std::to_string(front) + ",\"Back\":" + std::to_string(back) +
           ",\"Capacity\":" + std::to_string(kEventCapacity) + "},\"StartIndex\":" + std::to_string(events_.size() - kept + 1) +
           ",\"LastIndex\":" + last + "}},\"CurrentIndex\":" + last;
    out += ",\"Stats\":{\"getsSuccess\":0,\"getsFail\":1,\"setsSuccess\":" + std::to_string(sets_) +
           ",\"setsFail\":0,\"deleteSuccess\":0,\"deleteFail\":0,\"updateSuccess\":0,\"updateFail\":0,\"createSuccess\":" +
           std::to_string(creates_) +
           ",\"createFail\":0,\"compareAndSwapSuccess\":0,\"compareAndSwapFail\":0,\"compareAndDeleteSuccess\":0,"
           "\"compareAndDeleteFail\":0,\"expireCount\":0,\"watchers\":0},\"CurrentVersion\":2}";
    return out;
  }

 private:
  struct Node {
    std::uint64_t index = 0;
    std::string value;
    std::map<std::string, std::unique_ptr<Node>> children;
    bool is_directory = true;
  };

  // Five levels at most.
  static void append(const Node& node, const std::string& path, std::string& out) {
    const std::string index = std::to_string(node.index);
    out += "{\"Path\":" + quoted(path) + ",\"CreatedIndex\":" + index + ",\"ModifiedIndex\":" + index +
           ",\"ExpireTime\":\"0001-01-01T00:00:00Z\",\"Value\":" + quoted(node.value) + ",\"Children\":";
    if (!node.is_directory) {
      out += "null}";
      return;
    }
    out += '{';
    bool first = true;
    for (const auto& [name, child] : node.children) {
      if (!first) out += ',';
      first = false;
      out += quoted(name) + ":";
      append(*child, (path == "/" ? path : path + "/") + name, out);
    }
    out += "}}";
  }

  Node root_;
  std::vector<std::string> events_;
  std::uint64_t operations_ = 0;
  std::uint64_t sets_ = 0;
  std::uint64_t creates_ = 0;
};

}  // namespace

base::Bytes encode_store_document(std::span<const StoreMember> members, std::span<const std::uint64_t> removed,
                                  const std::string& cluster_version) {
  Document document;
  for (const StoreMember& member : members) {
    const std::string id = base::hex(member.id);
    document.put("create", {"0", "members", id, "raftAttributes"},
                 "{\"peerURLs\":" + quoted_list(member.peer_urls) + (member.is_learner ? ",\"isLearner\":true}" : "}"));
    if (member.client_urls.empty()) continue;
    const std::string name = member.name.empty() ? "" : "\"name\":" + quoted(member.name) + ",";
    document.put("set", {"0", "members", id, "attributes"}, "{" + name + "\"clientURLs\":" + quoted_list(member.client_urls) + "}");
  }
  for (const std::uint64_t id : removed) document.put("create", {"0", "removed_members", base::hex(id)}, "");
  if (!cluster_version.empty()) document.put("set", {"0", "version"}, cluster_version);
  return document.json();
}

}  // namespace etcdpp::wal

// waldump --history: every write to one key.

#include <deque>

#include <etcdpp/wal/dump.h>
#include <fmt/format.h>

#include "log_walker.h"
#include "output.h"
#include "payload_text.h"
#include "store_model.h"
#include "text_out.h"
#include "verdict_text.h"

namespace etcdpp::wal {

namespace {

constexpr std::size_t kValueLimit = 64;

struct Row {
  std::uint64_t index = 0;
  std::uint64_t term = 0;
  std::string user;
  std::string kind;  ///< of the request: put, delete_range, txn, lease_revoke
  bool committed = true;
  bool deletion = false;
  /// Empty: it was applied. Otherwise why it changed nothing.
  std::string refused;
  // Where they can be told; 0 otherwise.
  std::int64_t revision = 0;
  std::int64_t sub = 0;
  std::int64_t version = 0;
  std::uint64_t lease = 0;
  base::Bytes value;
  std::uint64_t value_size = 0;
};

// Takes a log's entries, holds back those that may still be written over, and finds the writes to one key.
class History {
 public:
  History(base::BytesView key, const Style& style, Output& out) : key_(key), style_(style), out_(out) {
    model_.on_write = [this](const StoreModel::Write& write) {
      if (write.key != key_) return;
      Row row;
      row.deletion = write.deletion;
      row.revision = write.revision;
      row.sub = write.sub;
      row.version = write.version;
      row.lease = write.lease;
      row.value_size = write.value.size();
      row.value = style_.full || style_.json ? write.value : write.value.substr(0, kValueLimit);
      found_.push_back(std::move(row));
    };
  }

  void add(const Record& record, const EntryView& entry) {
    if (next_ == 0) {
      next_ = entry.index;
      if (entry.index != 1) forget("the log does not reach back to the first entry");
    }
    // A newer leader writes over what was not committed.
    while (!pending_.empty() && pending_.back().index >= entry.index) pending_.pop_back();
    const std::uint64_t expected = pending_.empty() ? next_ : pending_.back().index + 1;
    if (entry.index > expected) forget("entries are missing");
    if (entry.index < next_) return;
    pending_.push_back({entry.index, base::Bytes(record.data)});
    if (entry.normal()) only_members_ = false;
  }

  void commit(std::uint64_t index) {
    while (!pending_.empty() && pending_.front().index <= index) {
      show(pending_.front(), true);
      next_ = pending_.front().index + 1;
      pending_.pop_front();
    }
  }

  void marker(const SnapshotMarker& marker) {
    if (marker.index == 0) return;
    // A database came from elsewhere: by the leader's snapshot, or by a restore, whose log begins with the members and this marker.
    const std::uint64_t last = pending_.empty() ? next_ - (next_ > 0 ? 1 : 0) : pending_.back().index;
    if (marker.index > last || only_members_) forget("the member's database came from a snapshot");
  }

  void finish() {
    for (const Pending& each : pending_) show(each, false);
    pending_.clear();
  }

  void damage() { forget("the log is damaged"); }
  const std::string& unknown() const { return unknown_; }
  std::uint64_t rows() const { return rows_; }
  std::int64_t revision() const { return model_.revision(); }

 private:
  struct Pending {
    std::uint64_t index;
    base::Bytes data;
  };

  void forget(const char* why) {
    if (unknown_.empty()) unknown_ = why;
  }

  void show(const Pending& pending, bool committed) {
    const auto view = view_entry(pending.data);
    if (!view || !view->normal()) return;
    if (view->kind == "undecodable" || view->kind == "unknown") forget("an entry's request cannot be read");
    found_.clear();
    std::string refused;
    if (unknown_.empty()) refused = model_.apply(*view);
    const bool known = unknown_.empty();
    if (!known || !refused.empty()) {
      found_.clear();
      asked(*view, refused);
    }
    for (Row& row : found_) {
      row.index = view->index;
      row.term = view->term;
      row.user = view->user;
      row.kind = view->kind;
      row.committed = committed;
      row.refused = refused;
      write(row);
    }
  }

  // What the request asks to be done to the key, without knowing what it finds.
  void asked(const EntryView& view, const std::string& refused) {
    static_cast<void>(for_each_operation(view, [&](const Operation& operation) {
      Row row;
      if (operation.what == Operation::What::kLease) {
        // The lease that the key was given last takes it along.
        if (view.kind != "lease_revoke" || operation.lease != lease_ || lease_ == 0 || !refused.empty()) return;
        row.deletion = true;
        lease_ = 0;
      } else if ((operation.what == Operation::What::kPut || operation.what == Operation::What::kDelete) && operation.touches(key_)) {
        row.deletion = operation.what == Operation::What::kDelete;
        row.lease = operation.lease;
        row.value = style_.full || style_.json ? operation.value : operation.value.substr(0, kValueLimit);
        row.value_size = operation.value.size();
        if (refused.empty()) lease_ = row.deletion ? 0 : operation.lease;
      } else {
        return;
      }
      found_.push_back(std::move(row));
    }));
  }

  void write(const Row& row) {
    ++rows_;
    std::string& text = out_.text();
    if (style_.json) {
      TreeWriter tree(text, true);
      tree.open_object("");
      tree.word("history", row.deletion ? "delete" : "put");
      tree.bytes("key", key_);
      tree.number("index", row.index);
      tree.number("term", row.term);
      if (row.revision != 0) {
        tree.number("revision", row.revision);
        tree.number("sub-revision", row.sub);
      }
      if (row.version != 0) tree.number("version", row.version);
      tree.word("kind", row.kind);
      if (!row.user.empty()) tree.bytes("user", row.user);
      tree.boolean("committed", row.committed);
      if (!row.refused.empty()) tree.word("refused", row.refused);
      if (!row.deletion) {
        tree.bytes("value", row.value);
        if (row.lease != 0) tree.id("lease", row.lease);
      }
      tree.close_object();
      text += '\n';
    } else {
      if (rows_ == 1) text += "       index    term    revision  request       write\n";
      append_padded(text, row.index, 12);
      append_padded(text, row.term, 8);
      const std::string revision = row.revision == 0 ? "-" : row.sub == 0 ? std::to_string(row.revision) : fmt::format("{}.{}", row.revision, row.sub);
      text.append(12 - std::min<std::size_t>(revision.size(), 12), ' ');
      text += revision + "  ";
      append_padded(text, row.kind, 12);
      text += "  ";
      append_toned(text, row.deletion ? "delete" : "put", row.deletion ? Tone::kWarning : Tone::kGood, style_.color);
      if (!row.deletion) {
        text += " ";
        TreeWriter tree(text, false);
        tree.bytes("value", row.value);
        if (row.value.size() < row.value_size) text += fmt::format("...({})", row.value_size);
        if (row.version != 0) tree.number("version", row.version);
        if (row.lease != 0) tree.id("lease", row.lease);
      }
      if (!row.user.empty()) text += " by \"" + base::printable(row.user) + "\"";
      if (!row.refused.empty()) text += " -- refused: " + row.refused;
      if (!row.committed) text += " -- not committed in this log";
      text += '\n';
    }
    out_.whole();
  }

  const base::Bytes key_;
  const Style& style_;
  Output& out_;
  StoreModel model_;
  std::deque<Pending> pending_;
  std::vector<Row> found_;
  /// Index of the next entry to be committed; 0 before the first.
  std::uint64_t next_ = 0;
  bool only_members_ = true;
  std::uint64_t lease_ = 0;
  /// Why revisions cannot be told; empty while they can.
  std::string unknown_;
  std::uint64_t rows_ = 0;
};

}  // namespace

base::Result<Ending> history(base::Env& env, std::span<const std::string> paths, base::BytesView key, const Style& style, const DumpHooks& hooks,
                             const Sink& out) {
  ETCDPP_ASSIGN(const std::vector<LogFiles> logs, find_logs(env, paths));
  Output output(out);
  Ending worst = Ending::kIntact;
  for (const LogFiles& log : logs) {
    LogWalker walker(env, log, hooks);
    History history(key, style, output);
    std::size_t markers = 0;
    while (output.alive()) {
      ETCDPP_ASSIGN(const bool more, walker.next());
      if (!more) break;
      const FoundFrame& frame = walker.frame();
      if (frame.broken() || frame.behind_end) {
        if (!frame.torn && !frame.behind_end) history.damage();
        continue;
      }
      if (walker.entry()) history.add(frame.record, *walker.entry());
      if (walker.check().markers().size() > markers) history.marker(walker.check().markers().back());
      markers = walker.check().markers().size();
      history.commit(walker.check().state().commit);
    }
    history.finish();
    std::string& text = output.text();
    if (style.json) {
      TreeWriter tree(text, true);
      tree.open_object("");
      tree.word("history", "end");
      tree.bytes("key", key);
      tree.number("writes", history.rows());
      if (history.unknown().empty()) tree.number("store-revision", history.revision());
      else tree.word("revisions-unknown", history.unknown());
      tree.close_object();
      text += '\n';
    } else {
      text += fmt::format("{} writes to \"{}\"", history.rows(), base::printable(key));
      if (history.unknown().empty()) text += fmt::format("; the store is at revision {}", history.revision());
      else text += "; where no revision is shown it cannot be told: " + history.unknown();
      text += '\n';
    }
    write_verdict(log, walker, style, walker.frames(), output);
    worst = worse(worst, walker.ending());
  }
  output.flush();
  return worst;
}

}  // namespace etcdpp::wal

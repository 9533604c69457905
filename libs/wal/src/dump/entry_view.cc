#include "entry_view.h"

#include <etcdpp/proto/wire.h>

namespace etcdpp::wal {

namespace {

using Visit = std::function<void(const Operation&)>;

void view_header(base::BytesView bytes, EntryView& entry) {
  proto::WireReader reader(bytes);
  while (reader.next()) {
    if (reader.number() == 1 && reader.is_varint()) entry.request_id = reader.varint();
    else if (reader.number() == 2 && reader.is_bytes()) entry.user = reader.bytes();
    else if (reader.number() == 3 && reader.is_varint()) entry.auth_revision = reader.varint();
  }
}

void view_request(EntryView& entry) {
  entry.kind = "none";
  proto::WireReader reader(entry.data);
  while (reader.next()) {
    if (reader.number() == kRequestIdField && reader.is_varint()) {
      entry.request_id = reader.varint();
    } else if (reader.number() == kRequestHeaderField && reader.is_bytes()) {
      view_header(reader.bytes(), entry);
    } else if (const Field* field = kRequestType.find(reader.number()); field && reader.is_bytes()) {
      entry.request = field;
      entry.body = reader.bytes();
      entry.kind = field->name;
    } else if (!entry.request) {
      entry.kind = "unknown";
    }
  }
  if (reader.ok()) return;
  entry.request = nullptr;
  entry.kind = "undecodable";
}

// {1 key, 2 range_end} of ranges and deletions, {1 key, 2 value, 3 lease} of puts.
bool visit_keys(base::BytesView bytes, Operation::What what, const Visit& visit) {
  Operation operation{what, {}, {}, {}, 0, bytes.size()};
  proto::WireReader reader(bytes);
  while (reader.next()) {
    if (reader.number() == 1 && reader.is_bytes()) operation.key = reader.bytes();
    else if (reader.number() == 2 && reader.is_bytes() && what != Operation::What::kPut) operation.range_end = reader.bytes();
    else if (reader.number() == 2 && reader.is_bytes()) operation.value = reader.bytes();
    else if (reader.number() == 3 && reader.is_varint() && what == Operation::What::kPut) operation.lease = reader.varint();
  }
  if (!reader.ok()) return false;
  visit(operation);
  return true;
}

bool visit_compare(base::BytesView bytes, const Visit& visit) {
  Operation operation{Operation::What::kCompare, {}, {}, {}, 0, bytes.size()};
  proto::WireReader reader(bytes);
  while (reader.next()) {
    if (reader.number() == 3 && reader.is_bytes()) operation.key = reader.bytes();
    else if (reader.number() == 64 && reader.is_bytes()) operation.range_end = reader.bytes();
    else if (reader.number() == 8 && reader.is_varint()) operation.lease = reader.varint();
  }
  if (!reader.ok()) return false;
  visit(operation);
  return true;
}

bool visit_txn(base::BytesView bytes, int depth, const Visit& visit) {
  if (depth > kMaxNesting) return false;
  proto::WireReader reader(bytes);
  while (reader.next()) {
    if (!reader.is_bytes()) continue;
    if (reader.number() == 1) {
      if (!visit_compare(reader.bytes(), visit)) return false;
    } else if (reader.number() == 2 || reader.number() == 3) {
      proto::WireReader operation(reader.bytes());
      while (operation.next()) {
        if (!operation.is_bytes()) continue;
        bool good = true;
        switch (operation.number()) {
          case 1: good = visit_keys(operation.bytes(), Operation::What::kRange, visit); break;
          case 2: good = visit_keys(operation.bytes(), Operation::What::kPut, visit); break;
          case 3: good = visit_keys(operation.bytes(), Operation::What::kDelete, visit); break;
          case 4: good = visit_txn(operation.bytes(), depth + 1, visit); break;
          default: break;
        }
        if (!good) return false;
      }
      if (!operation.ok()) return false;
    }
  }
  return reader.ok();
}

bool visit_lease(base::BytesView bytes, std::uint32_t field, const Visit& visit) {
  proto::WireReader reader(bytes);
  while (reader.next())
    if (reader.number() == field && reader.is_varint()) visit({Operation::What::kLease, {}, {}, {}, reader.varint(), bytes.size()});
  return reader.ok();
}

bool visit_checkpoints(base::BytesView bytes, const Visit& visit) {
  proto::WireReader reader(bytes);
  while (reader.next())
    if (reader.number() == 1 && reader.is_bytes() && !visit_lease(reader.bytes(), 1, visit)) return false;
  return reader.ok();
}

}  // namespace

std::optional<EntryView> view_entry(base::BytesView record_data) {
  EntryView entry;
  proto::WireReader reader(record_data);
  while (reader.next()) {
    if (reader.number() == 4 && reader.is_bytes()) entry.data = reader.bytes();
    else if (!reader.is_varint()) continue;
    else if (reader.number() == 1) entry.type = reader.varint();
    else if (reader.number() == 2) entry.term = reader.varint();
    else if (reader.number() == 3) entry.index = reader.varint();
  }
  if (!reader.ok() || entry.type > 2) return {};
  if (entry.type == 1) entry.kind = "conf_change";
  else if (entry.type == 2) entry.kind = "conf_change_v2";
  else if (entry.data.empty()) entry.kind = "empty";
  else view_request(entry);
  return entry;
}

bool Operation::touches(base::BytesView wanted) const {
  if (what == What::kLease) return false;
  if (range_end.empty()) return key == wanted;
  return key <= wanted && (range_end == base::BytesView("\0", 1) || wanted < range_end);
}

bool Operation::touches_prefix(base::BytesView prefix) const {
  if (what == What::kLease) return false;
  if (range_end.empty()) return key.starts_with(prefix);
  // The range must begin before the prefix's keys end, and end behind where they begin.
  if (key > prefix && !key.starts_with(prefix)) return false;
  return range_end == base::BytesView("\0", 1) || range_end > prefix;
}

bool for_each_operation(const EntryView& entry, const Visit& visit) {
  if (!entry.request) return true;
  switch (entry.request->number) {
    case 3: return visit_keys(entry.body, Operation::What::kRange, visit);
    case 4: return visit_keys(entry.body, Operation::What::kPut, visit);
    case 5: return visit_keys(entry.body, Operation::What::kDelete, visit);
    case 6: return visit_txn(entry.body, 1, visit);
    case 8: return visit_lease(entry.body, 2, visit);
    case 9: return visit_lease(entry.body, 1, visit);
    case 11: return visit_checkpoints(entry.body, visit);
    default: return true;
  }
}

}  // namespace etcdpp::wal

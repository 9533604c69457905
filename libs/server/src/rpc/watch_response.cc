#include "watch_response.h"

#include <etcdpp/proto/wire.h>

namespace etcdpp::server {

namespace {

// Tags of WatchResponse and Event, each one byte: number << 3 | wire type.
constexpr char kWatchId = '\x10';
constexpr char kCreated = '\x18';
constexpr char kCanceled = '\x20';
constexpr char kCompactRevision = '\x28';
constexpr char kCancelReason = '\x32';
constexpr char kFragment = '\x38';
constexpr char kEvents = '\x5a';
constexpr char kEventPrevKv = '\x1a';

std::size_t event_size(const mvcc::WatchEvent& event) {
  if (event.prev_kv.empty()) return event.encoded.size();
  return event.encoded.size() + 1 + proto::varint_size(event.prev_kv.size()) + event.prev_kv.size();
}

/// Everything but the events; at most so much beside header and reason.
constexpr std::size_t kHeadBytes = 32;

void append_head(const mvcc::WatchDelivery& d, std::string_view header, std::string& out) {
  out += header;
  if (d.watch_id != 0) {
    out += kWatchId;
    proto::append_varint(static_cast<std::uint64_t>(d.watch_id), out);
  }
  if (d.created) out.append({kCreated, '\x01'});
  if (d.canceled) out.append({kCanceled, '\x01'});
  if (d.compact_revision != 0) {
    out += kCompactRevision;
    proto::append_varint(static_cast<std::uint64_t>(d.compact_revision), out);
  }
  if (!d.cancel_reason.empty()) {
    out += kCancelReason;
    proto::append_varint(d.cancel_reason.size(), out);
    out += d.cancel_reason;
  }
}

void append_event(const mvcc::WatchEvent& event, std::string& out) {
  out += kEvents;
  proto::append_varint(event_size(event), out);
  out += event.encoded;
  if (event.prev_kv.empty()) return;
  out += kEventPrevKv;
  proto::append_varint(event.prev_kv.size(), out);
  out += event.prev_kv;
}

std::size_t element_size(const mvcc::WatchEvent& event) {
  const std::size_t size = event_size(event);
  return 1 + proto::varint_size(size) + size;
}

}  // namespace

std::string encode_watch_response(const mvcc::WatchDelivery& delivery, std::string_view header) {
  std::size_t total = header.size() + kHeadBytes + delivery.cancel_reason.size();
  for (const mvcc::WatchEvent& event : delivery.events) total += element_size(event);
  std::string out;
  out.reserve(total);
  append_head(delivery, header, out);
  for (const mvcc::WatchEvent& event : delivery.events) append_event(event, out);
  return out;
}

void encode_watch_fragments(const mvcc::WatchDelivery& delivery, std::string_view header, std::size_t fragment_limit,
                            const std::function<void(std::string)>& send) {
  std::string head;
  append_head(delivery, header, head);
  std::vector<std::size_t> sizes;
  for (const mvcc::WatchEvent& event : delivery.events) sizes.push_back(element_size(event));
  std::size_t begin = 0;
  for (const std::size_t end : mvcc::fragment_ends(sizes, head.size(), fragment_limit)) {
    std::string out;
    out += head;
    if (end != delivery.events.size()) out.append({kFragment, '\x01'});
    for (; begin < end; ++begin) append_event(delivery.events[begin], out);
    send(std::move(out));
  }
}

}  // namespace etcdpp::server

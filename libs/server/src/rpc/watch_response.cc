#include "watch_response.h"

#include <google/protobuf/io/coded_stream.h>

namespace etcdpp::server {

namespace {

using google::protobuf::io::CodedOutputStream;

// Tags of WatchResponse and Event, each one byte: number << 3 | wire type.
constexpr char kHeader = '\x0a';
constexpr char kWatchId = '\x10';
constexpr char kCreated = '\x18';
constexpr char kCanceled = '\x20';
constexpr char kCompactRevision = '\x28';
constexpr char kCancelReason = '\x32';
constexpr char kFragment = '\x38';
constexpr char kEvents = '\x5a';
constexpr char kEventPrevKv = '\x1a';

void append_varint(std::uint64_t value, std::string& out) {
  std::uint8_t bytes[10];
  const std::uint8_t* end = CodedOutputStream::WriteVarint64ToArray(value, bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(end - bytes));
}

std::size_t event_size(const mvcc::WatchEvent& event) {
  if (event.prev_kv.empty()) return event.encoded.size();
  return event.encoded.size() + 1 + CodedOutputStream::VarintSize64(event.prev_kv.size()) + event.prev_kv.size();
}

std::string head_of(const mvcc::WatchDelivery& d, const etcdserverpb::ResponseHeader& header) {
  std::string out;
  out += kHeader;
  append_varint(header.ByteSizeLong(), out);
  header.AppendToString(&out);
  if (d.watch_id != 0) {
    out += kWatchId;
    append_varint(static_cast<std::uint64_t>(d.watch_id), out);
  }
  if (d.created) out.append({kCreated, '\x01'});
  if (d.canceled) out.append({kCanceled, '\x01'});
  if (d.compact_revision != 0) {
    out += kCompactRevision;
    append_varint(static_cast<std::uint64_t>(d.compact_revision), out);
  }
  if (!d.cancel_reason.empty()) {
    out += kCancelReason;
    append_varint(d.cancel_reason.size(), out);
    out += d.cancel_reason;
  }
  return out;
}

void append_event(const mvcc::WatchEvent& event, std::string& out) {
  out += kEvents;
  append_varint(event_size(event), out);
  out += event.encoded;
  if (event.prev_kv.empty()) return;
  out += kEventPrevKv;
  append_varint(event.prev_kv.size(), out);
  out += event.prev_kv;
}

}  // namespace

void encode_watch_responses(const mvcc::WatchDelivery& delivery, const etcdserverpb::ResponseHeader& header,
                            std::size_t fragment_limit, const std::function<void(std::string)>& send) {
  const std::string head = head_of(delivery, header);
  std::vector<std::size_t> sizes;
  std::size_t total = head.size();
  for (const mvcc::WatchEvent& event : delivery.events) {
    const std::size_t size = event_size(event);
    sizes.push_back(1 + CodedOutputStream::VarintSize64(size) + size);
    total += sizes.back();
  }
  std::vector<std::size_t> ends{delivery.events.size()};
  if (delivery.fragment && total >= fragment_limit && delivery.events.size() >= 2)
    ends = mvcc::fragment_ends(sizes, head.size(), fragment_limit);
  std::size_t begin = 0;
  for (const std::size_t end : ends) {
    std::string out;
    out.reserve(ends.size() == 1 ? total : fragment_limit);
    out += head;
    if (end != delivery.events.size()) out.append({kFragment, '\x01'});
    for (; begin < end; ++begin) append_event(delivery.events[begin], out);
    send(std::move(out));
  }
}

}  // namespace etcdpp::server

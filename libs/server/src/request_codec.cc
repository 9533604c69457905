#include "request_codec.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <vector>

namespace etcdpp::server {

namespace {

using google::protobuf::io::CodedOutputStream;

constexpr std::uint32_t kLengthDelimited = 2;

std::uint32_t tag(std::uint32_t field, std::uint32_t wire_type) { return field << 3 | wire_type; }

std::size_t header_size(const RequestHeader& header) {
  std::size_t size = 0;
  if (header.id != 0) size += 1 + CodedOutputStream::VarintSize64(header.id);
  if (!header.username.empty())
    size += 1 + CodedOutputStream::VarintSize32(static_cast<std::uint32_t>(header.username.size())) + header.username.size();
  if (header.auth_revision != 0) size += 1 + CodedOutputStream::VarintSize64(header.auth_revision);
  return size;
}

std::uint8_t* write_header(const RequestHeader& header, std::uint8_t* out) {
  if (header.id != 0) {
    out = CodedOutputStream::WriteVarint32ToArray(tag(1, 0), out);
    out = CodedOutputStream::WriteVarint64ToArray(header.id, out);
  }
  if (!header.username.empty()) {
    out = CodedOutputStream::WriteVarint32ToArray(tag(2, kLengthDelimited), out);
    out = CodedOutputStream::WriteVarint32ToArray(static_cast<std::uint32_t>(header.username.size()), out);
    out = std::copy(header.username.begin(), header.username.end(), out);
  }
  if (header.auth_revision != 0) {
    out = CodedOutputStream::WriteVarint32ToArray(tag(3, 0), out);
    out = CodedOutputStream::WriteVarint64ToArray(header.auth_revision, out);
  }
  return out;
}

std::uint8_t* write_message(std::uint32_t field, std::string_view bytes, std::uint8_t* out) {
  out = CodedOutputStream::WriteVarint32ToArray(tag(field, kLengthDelimited), out);
  out = CodedOutputStream::WriteVarint32ToArray(static_cast<std::uint32_t>(bytes.size()), out);
  return std::copy(bytes.begin(), bytes.end(), out);
}

bool read_varint(std::string_view& in, std::uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (in.empty()) return false;
    const auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

/// Takes one field off `in`; `body` is set for length-delimited ones. False at the end or where the bytes are no field.
bool next_field(std::string_view& in, std::uint64_t& number, std::string_view& body) {
  std::uint64_t key, value;
  body = {};
  if (!read_varint(in, key)) return false;
  number = key >> 3;
  switch (key & 7) {
    case 0: return read_varint(in, value);
    case 1:
      if (in.size() < 8) return false;
      in.remove_prefix(8);
      return true;
    case 2:
      if (!read_varint(in, value) || value > in.size()) return false;
      body = in.substr(0, value);
      in.remove_prefix(value);
      return true;
    case 5:
      if (in.size() < 4) return false;
      in.remove_prefix(4);
      return true;
    default: return false;
  }
}

}  // namespace

base::SharedBytes encode_request(RequestField field, std::string_view request, const RequestHeader& header) {
  const auto number = static_cast<std::uint32_t>(field);
  const auto header_number = static_cast<std::uint32_t>(RequestField::kHeader);
  const std::size_t head = header_size(header);
  const std::size_t request_size = CodedOutputStream::VarintSize32(tag(number, kLengthDelimited)) +
                                   CodedOutputStream::VarintSize32(static_cast<std::uint32_t>(request.size())) +
                                   request.size();
  const std::size_t total = request_size + CodedOutputStream::VarintSize32(tag(header_number, kLengthDelimited)) +
                            CodedOutputStream::VarintSize32(static_cast<std::uint32_t>(head)) + head;
  base::SharedBytes bytes(total);
  auto* out = reinterpret_cast<std::uint8_t*>(bytes.mutable_data());
  const auto write_head = [&](std::uint8_t* at) {
    at = CodedOutputStream::WriteVarint32ToArray(tag(header_number, kLengthDelimited), at);
    at = CodedOutputStream::WriteVarint32ToArray(static_cast<std::uint32_t>(head), at);
    return write_header(header, at);
  };
  if (number < header_number) {
    out = write_message(number, request, out);
    write_head(out);
  } else {
    out = write_head(out);
    write_message(number, request, out);
  }
  return bytes;
}

std::size_t nesting_depth_of_txns(std::string_view txn, std::size_t limit) {
  // A stack of what is left to read at each level: TxnRequest.{success = 2, failure = 3} → RequestOp.request_txn = 4 → …
  struct Level {
    std::string_view rest;
    bool is_op;
  };
  std::vector<Level> stack{{txn, false}};
  std::size_t deepest = 1;
  std::size_t txns = 1;
  while (!stack.empty()) {
    std::uint64_t number;
    std::string_view body;
    if (!next_field(stack.back().rest, number, body)) {
      if (!stack.back().is_op) --txns;
      stack.pop_back();
      continue;
    }
    const bool is_op = stack.back().is_op;
    if (is_op ? number == 4 : number == 2 || number == 3) {
      if (body.data() == nullptr) continue;
      stack.push_back({body, !is_op});
      if (is_op && ++txns > deepest) deepest = txns;
      if (deepest >= limit) return limit;
    }
  }
  return deepest;
}

bool parse_deep(google::protobuf::MessageLite& message, std::string_view bytes) {
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
  in.SetRecursionLimit(static_cast<int>(4 * kMaxTxnDepth));
  return message.ParseFromCodedStream(&in) && in.ConsumedEntireMessage();
}

}  // namespace etcdpp::server

#include "key_reads.h"

#include <algorithm>
#include <array>

#include "../range_executor.h"
#include "../range_selector.h"

namespace etcdpp::server {

bool KeyReads::takes(const etcdserverpb::RangeRequest& request) {
  return request.range_end().empty() && !request.count_only() && !request.keys_only() && request.key().size() <= kLargestKey &&
         !RangeSelector::needed(request);
}

void KeyReads::add(net::CallRef call, const etcdserverpb::RangeRequest& request, base::Instant asked) {
  if (taken_ == reads_.size()) reads_.emplace_back();
  Read& read = reads_[taken_++];
  read.call = std::move(call);
  read.key = request.key();
  read.revision = request.revision();
  read.asked = asked;
  read.serializable = request.serializable();
  if (taken_ == kMost) answer();
}

void KeyReads::answer() {
  std::span<Read> left(reads_.data(), std::exchange(taken_, 0));
  while (!left.empty()) {
    const auto together = left.first(std::min(left.size(), mvcc::kKeysSideBySide));
    answer(together);
    left = left.subspan(together.size());
  }
}

void KeyReads::answer(std::span<Read> reads) {
  const base::Instant begun = member_.clock().now();
  const auto reader = mvcc::RangeReader::open(member_.views());
  std::array<mvcc::KeyRead, mvcc::kKeysSideBySide> keys;
  for (std::size_t i = 0; i < reads.size(); ++i) {
    keys[i] = {.key = reads[i].key, .revision = reads[i].revision, .key_value = std::optional<base::BytesView>()};
    if (!reader) keys[i].key_value = reader.error();
  }
  std::string header;
  if (reader) {
    reader->get(std::span(keys).first(reads.size()));
    header_(reader->view().revision, header);
  }
  const base::Instant now = member_.clock().now();
  member_.metrics().ranges.add(reads.size());
  for (std::size_t i = 0; i < reads.size(); ++i) {
    const net::CallRef call = std::move(reads[i].call);
    const auto& answer = keys[i].key_value;
    count_range(member_, {.asked = reads[i].asked, .begun = reads[i].serializable ? reads[i].asked : begun, .ended = now}, answer.has_value());
    if (!answer) {
      refuse_range(member_, *call, answer.error());
      continue;
    }
    std::string bytes;
    bytes.reserve(header.size() + (*answer ? (*answer)->size() : 0) + kMostAroundRow);
    bytes += header;
    if (*answer) append_encoded_row(**answer, bytes);
    append_range_end(false, *answer ? 1 : 0, bytes);
    call->reply(std::move(bytes));
  }
}

}  // namespace etcdpp::server

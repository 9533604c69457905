#include "small_reads.h"

#include <algorithm>
#include <array>

#include "../range_executor.h"
#include "../range_selector.h"

namespace etcdpp::server {

bool SmallReads::takes(const etcdserverpb::RangeRequest& request) {
  if (request.key().size() > kLargestKey || request.range_end().size() > kLargestKey || RangeSelector::needed(request)) return false;
  return request.count_only() || (request.range_end().empty() && !request.keys_only());
}

void SmallReads::add(net::CallRef call, const etcdserverpb::RangeRequest& request, base::Instant asked) {
  if (taken_ == reads_.size()) reads_.emplace_back();
  Read& read = reads_[taken_++];
  read.call = std::move(call);
  read.key = request.key();
  read.range_end = request.range_end();
  read.revision = request.revision();
  read.asked = asked;
  read.serializable = request.serializable();
  read.count_only = request.count_only();
  if (taken_ == kMost) answer();
}

void SmallReads::answer() {
  std::span<Read> left(reads_.data(), std::exchange(taken_, 0));
  while (!left.empty()) left = left.subspan(answer(left.first(std::min(left.size(), mvcc::kKeysSideBySide))));
}

std::size_t SmallReads::answer(std::span<Read> reads) {
  const base::Instant begun = member_.clock().now();
  const auto reader = mvcc::RangeReader::open(member_.views());
  Answers answers;
  if (reader) {
    std::string header;
    header_(reader->view().revision, header);
    reads = reads.first(read_keys(*reader, header, reads, answers));
    for (std::size_t i = 0; i < reads.size(); ++i)
      if (reads[i].count_only) answers[i] = count(*reader, header, reads[i]);
  } else {
    answers.fill(reader.error());
  }
  const base::Instant now = member_.clock().now();
  member_.metrics().ranges.add(reads.size());
  for (std::size_t i = 0; i < reads.size(); ++i) {
    const net::CallRef call = std::move(reads[i].call);
    count_range(member_, {.asked = reads[i].asked, .begun = reads[i].serializable ? reads[i].asked : begun, .ended = now}, answers[i].has_value());
    if (answers[i]) {
      call->reply(*std::move(answers[i]));
    } else {
      refuse_range(member_, *call, answers[i].error());
    }
  }
  return reads.size();
}

std::size_t SmallReads::read_keys(const mvcc::RangeReader& reader, std::string_view header, std::span<const Read> reads, Answers& answers) {
  std::array<mvcc::KeyRead, mvcc::kKeysSideBySide> keys;
  std::size_t wanted = 0;
  for (const Read& read : reads)
    if (!read.count_only) keys[wanted++] = {.key = read.key, .revision = read.revision, .key_value = std::optional<base::BytesView>()};
  const std::size_t read = reader.get(std::span(keys).first(wanted));
  std::size_t i = 0;
  for (std::size_t k = 0; i < reads.size(); ++i) {
    if (reads[i].count_only) continue;
    if (k == read) break;
    const auto& found = keys[k++].key_value;
    if (!found) {
      answers[i] = found.error();
      continue;
    }
    std::string& bytes = answers[i].emplace();
    bytes.reserve(header.size() + (*found ? (*found)->size() : 0) + kMostAroundRow);
    bytes += header;
    if (*found) append_encoded_row(**found, bytes);
    append_range_end(false, *found ? 1 : 0, bytes);
  }
  return i;
}

base::Result<std::string> SmallReads::count(const mvcc::RangeReader& reader, std::string_view header, const Read& read) {
  ETCDPP_ASSIGN(const std::int64_t at, reader.resolve(read.revision));
  std::string bytes(header);
  append_range_end(false, reader.view().index.count(mvcc::KeyRange::of(read.key, read.range_end), at), bytes);
  return bytes;
}

}  // namespace etcdpp::server

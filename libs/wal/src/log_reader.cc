#include "log_reader.h"

#include <algorithm>

#include <etcdpp/base/crc32c.h>
#include <etcdpp/wal/errc.h>

namespace etcdpp::wal {

base::Result<std::vector<std::string>> list_segments(base::Env& env, const std::string& directory) {
  ETCDPP_ASSIGN(std::vector<std::string> names, env.list(directory));
  std::erase_if(names, [](const std::string& name) { return !parse_segment_name(name); });
  if (names.empty()) return base::Error(Errc::kFileNotFound, directory);
  for (std::size_t i = 1; i < names.size(); ++i) {
    if (parse_segment_name(names[i])->sequence != parse_segment_name(names[i - 1])->sequence + 1)
      return base::Error(Errc::kSegmentMissing, directory + ": between " + names[i - 1] + " and " + names[i]);
  }
  return names;
}

base::Result<std::vector<std::string>> segments_from(base::Env& env, const std::string& directory, std::uint64_t index) {
  ETCDPP_ASSIGN(std::vector<std::string> names, list_segments(env, directory));
  const auto last = std::find_if(names.rbegin(), names.rend(),
                                 [&](const std::string& name) { return parse_segment_name(name)->index <= index; });
  if (last == names.rend())
    return base::Error(Errc::kFileNotFound, directory + ": no segment reaches back to the snapshot index '" + std::to_string(index) + "'");
  names.erase(names.begin(), last.base() - 1);
  return names;
}

base::Result<std::vector<OpenSegment>> open_segments(base::Env& env, const std::string& directory,
                                                     const std::vector<std::string>& names, base::OpenMode mode) {
  std::vector<OpenSegment> segments;
  for (const std::string& name : names) {
    OpenSegment segment{*parse_segment_name(name), name, nullptr};
    ETCDPP_ASSIGN(segment.file, env.open(directory + "/" + name, mode));
    if (mode == base::OpenMode::kReadWrite) {
      if (auto locked = segment.file->lock(false); !locked) {
        if (locked.error().code == base::EnvErrc::kLocked) return base::Error(Errc::kLocked, segment.file->path());
        return locked.error();
      }
    }
    segments.push_back(std::move(segment));
  }
  return segments;
}

base::Error with_advice(base::Error error, const std::string& directory) {
  if (error.code.category() != make_error_code(Errc::kExists).category() || error.code == Errc::kLocked) return error;
  error.context += "; to see what is there, run: waldump --verify " + directory;
  if (error.code == Errc::kLogEndsEarly) error.context += "; to start without what is missing, give --force-truncate-wal";
  else if (error.code != Errc::kFileNotFound) error.context += " (and waldump --salvage to save what can be read)";
  return error;
}

std::string LogReader::position() const {
  if (current_ >= segments_.size()) return "at the end";
  return "in file '" + segments_[current_].file->path() + "' at position: " + std::to_string(offset_);
}

base::Result<bool> LogReader::next(Item& item) {
  for (;; ++current_, started_ = false) {
    if (current_ >= segments_.size()) return false;
    if (!started_) {
      started_ = true;
      offset_ = 0;
      ETCDPP_TRY(window_.attach(*segments_[current_].file));
    }
    ETCDPP_ASSIGN(const base::BytesView word_bytes, window_.view(offset_, kLengthWordSize));
    if (word_bytes.empty()) {
      if (current_ + 1 == segments_.size()) return false;
      continue;
    }
    if (word_bytes.size() < kLengthWordSize) return base::Error(Errc::kUnexpectedEof, position());
    const std::uint64_t word = base::get_le64(word_bytes.data());
    if (word == 0) {
      if (current_ + 1 == segments_.size()) return false;
      continue;
    }
    const auto [length, padding] = decode_length_word(word);
    if (length + padding + offset_ > window_.size())
      return base::Error(Errc::kUnexpectedEof, "a frame of " + std::to_string(length) + " bytes reaches beyond the file, " + position());
    if (length > kMaxRecordSize)
      return base::Error(Errc::kBadRecord, "a frame of " + std::to_string(length) + " bytes, more than any record has, " + position());
    const std::size_t body_size = static_cast<std::size_t>(length) + padding;
    ETCDPP_ASSIGN(const base::BytesView body, window_.view(offset_ + kLengthWordSize, body_size));
    if (body.size() < body_size) return base::Error(Errc::kUnexpectedEof, position());

    const bool torn_counts = current_ + 1 == segments_.size();
    const auto broken = [&](Errc errc, const std::string& what) {
      if (torn_counts && is_torn(offset_ + kLengthWordSize, body)) errc = Errc::kUnexpectedEof;
      return base::Error(errc, what + position());
    };
    const auto record = decode_record(body.substr(0, static_cast<std::size_t>(length)));
    if (!record) return broken(Errc::kBadRecord, "");
    if (record->type == static_cast<std::int64_t>(RecordType::kCrc)) {
      if (crc_ != 0 && record->crc != crc_)
        return base::Error(Errc::kCrcMismatch, "expected: " + base::hex(std::uint64_t{record->crc}) +
                                                   " computed: " + base::hex(std::uint64_t{crc_}) + ": " + position());
      crc_ = record->crc;
    } else {
      const std::uint32_t computed = base::crc32c(crc_, record->data);
      if (computed != record->crc)
        return broken(Errc::kCrcMismatch, "expected: " + base::hex(std::uint64_t{record->crc}) +
                                              " computed: " + base::hex(std::uint64_t{computed}) + ": ");
      crc_ = computed;
    }
    item = {*record, &segments_[current_], offset_};
    offset_ += kLengthWordSize + body_size;
    return true;
  }
}

}  // namespace etcdpp::wal

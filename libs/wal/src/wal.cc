// Hop 7 of a Put: see docs/LIFE_OF_A_PUT.md

#include <etcdpp/wal/wal.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include <etcdpp/base/assert.h>
#include <etcdpp/base/crc32c.h>
#include <etcdpp/base/failpoint.h>
#include <etcdpp/proto/raft_codec.h>

#include "page_writer.h"
#include "paths.h"
#include "replay.h"

namespace etcdpp::wal {

namespace {

constexpr base::Duration kSlowSync = std::chrono::seconds(1);
// A large entry's frame is built apart; the room is given back when it was larger than this.
constexpr std::size_t kScratchKept = 1 << 20;

// "20060102.150405.000000", in UTC.
std::string timestamp(const base::Clock* clock) {
  const std::int64_t ms = clock ? clock->wall_milliseconds() : 0;
  const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y%m%d.%H%M%S", &utc);
  const std::string micros = std::to_string(1'000'000 + ms % 1000 * 1000);
  return std::string(text) + "." + micros.substr(1);
}

}  // namespace

Wal::Wal(base::Env& env, std::string directory, Options options)
    : env_(env), directory_(std::move(directory)), options_(std::move(options)) {}

Wal::~Wal() = default;

base::Result<std::unique_ptr<Wal>> Wal::create(base::Env& env, const std::string& path, const Metadata& metadata, Options options) {
  const std::string directory = without_trailing_slash(path);
  if (exists(env, directory)) return base::Error(Errc::kExists, directory);
  if (env.exists(directory)) {
    ETCDPP_ASSIGN(const std::vector<std::string> names, env.list(directory));
    for (const std::string& name : names) {
      if (!name.ends_with(".tmp")) return base::Error(Errc::kForeignFiles, directory + "/" + name);
      ETCDPP_TRY(env.remove(directory + "/" + name));
    }
  }
  // Directories that are made now must be durable in those that hold them.
  std::vector<std::string> holders = {parent_of(directory)};
  while (!env.exists(holders.back()) && holders.back() != parent_of(holders.back())) holders.push_back(parent_of(holders.back()));

  const std::string temporary = directory + ".tmp";
  ETCDPP_TRY(env.remove_tree(temporary));
  ETCDPP_TRY(env.make_directories(temporary, 0700));

  std::unique_ptr<Wal> wal(new Wal(env, directory, std::move(options)));
  wal->metadata_ = encode_metadata(metadata);
  Segment first{0, 0, segment_name({0, 0}), nullptr};
  ETCDPP_ASSIGN(first.file, env.open(temporary + "/" + first.name, base::OpenMode::kCreateNew, 0600));
  ETCDPP_TRY(first.file->lock(false));
  ETCDPP_TRY(first.file->allocate(wal->options_.segment_size));
  wal->writer_ = std::make_unique<PageWriter>(*first.file, 0, wal->options_.on_write);
  wal->held_.push_back(std::move(first));
  ETCDPP_TRY(wal->append_heads());
  ETCDPP_TRY(wal->save_snapshot({}));
  ETCDPP_TRY(env.sync_directory(temporary));

  ETCDPP_TRY(env.rename(temporary, directory));
  for (const std::string& holder : holders) {
    if (auto synced = env.sync_directory(holder); !synced) {
      // Nobody may take for a log what the next crash may take away.
      static_cast<void>(env.rename(directory, directory + ".broken." + timestamp(wal->options_.clock)));
      return synced.error();
    }
  }
  wal->preallocator_ = std::make_unique<Preallocator>(env, directory, wal->options_.segment_size);
  wal->options_.logger->info("created a new WAL segment", {{"path", directory + "/" + wal->tail_name()}});
  return wal;
}

base::Result<> Wal::append_record(RecordType type, base::BytesView head, base::BytesView payload) {
  const bool has_data = type != RecordType::kCrc;
  const std::size_t data_size = head.size() + payload.size();
  if (has_data) crc_ = base::crc32c(base::crc32c(crc_, head), payload);

  const std::size_t size = frame_size(type, crc_, data_size);
  char* frame = writer_->reserve(size);
  const bool in_place = frame != nullptr;
  if (!in_place) {
    scratch_.resize(size);
    frame = scratch_.data();
  }
  char* at = frame + kLengthWordSize;
  at = proto::put_varint_field(at, 1, static_cast<std::uint64_t>(type));
  at = proto::put_varint_field(at, 2, crc_);
  if (has_data) {
    at = proto::put_length_field(at, 3, data_size);
    std::memcpy(at, head.data(), head.size());
    at += head.size();
    if (!payload.empty()) std::memcpy(at, payload.data(), payload.size());
    at += payload.size();
  }
  base::put_le64(frame, encode_length_word(static_cast<std::uint64_t>(at - frame) - kLengthWordSize));
  std::memset(at, 0, static_cast<std::size_t>(frame + size - at));
  if (in_place) return {};

  auto written = writer_->write({frame, size});
  if (scratch_.capacity() > kScratchKept) base::Bytes().swap(scratch_);
  return written;
}

base::Result<> Wal::append_entry(const raft::Entry& entry) {
  char head[proto::kMaxEntryHeadSize];
  const std::size_t size = proto::encode_entry_head(entry, head);
  newest_index_ = entry.index;
  return append_record(RecordType::kEntry, {head, size}, entry.data.view());
}

base::Result<> Wal::append_hard_state(const raft::HardState& hard_state) {
  if (hard_state.empty()) return {};
  last_state_ = hard_state;
  char bytes[proto::kMaxHardStateSize];
  const std::size_t size = proto::encode_hard_state(hard_state, bytes);
  return append_record(RecordType::kState, {bytes, size}, {});
}

// What every segment begins with: the checksum so far, and whose log it is.
base::Result<> Wal::append_heads() {
  ETCDPP_TRY(append_record(RecordType::kCrc, {}, {}));
  return append_record(RecordType::kMetadata, metadata_, {});
}

base::Result<> Wal::guard(base::Result<> outcome) {
  if (!outcome) poisoned_ = true;
  return outcome;
}

base::Result<> Wal::append(const raft::HardState& hard_state, std::span<const raft::Entry> entries) {
  if (poisoned_) return base::Error(Errc::kPoisoned, directory_);
  if (hard_state.empty() && entries.empty()) return {};
  must_sync_ |= !entries.empty() || hard_state.vote != last_state_.vote || hard_state.term != last_state_.term;
  for (const raft::Entry& entry : entries) ETCDPP_TRY(guard(append_entry(entry)));
  return guard(append_hard_state(hard_state));
}

bool Wal::needs_sync() const { return must_sync_ || writer_->flushed_offset() >= options_.segment_size; }

base::Result<> Wal::sync() {
  if (poisoned_) return base::Error(Errc::kPoisoned, directory_);
  // By what was written before this batch: a segment ends with the batch that finds it full.
  if (writer_->flushed_offset() >= options_.segment_size) return guard(cut());
  return guard(flush_and_sync());
}

base::Result<> Wal::save(const raft::HardState& hard_state, std::span<const raft::Entry> entries) {
  ETCDPP_TRY(append(hard_state, entries));
  return needs_sync() ? sync() : base::Result<>{};
}

base::Result<> Wal::save_snapshot(const SnapshotMarker& marker) {
  if (poisoned_) return base::Error(Errc::kPoisoned, directory_);
  if (marker.index > 0 && !marker.conf_state) return base::Error(Errc::kInvalidMarker, "index " + std::to_string(marker.index));
  ETCDPP_TRY(guard(append_record(RecordType::kSnapshot, encode_marker(marker), {})));
  newest_index_ = std::max(newest_index_, marker.index);
  return guard(flush_and_sync());
}

base::Result<> Wal::flush_and_sync() {
  ETCDPP_TRY(writer_->flush());
  must_sync_ = false;
  if (options_.unsafe_no_fsync) return {};
  ETCDPP_FAILPOINT("walBeforeSync");
  const base::Instant begin = options_.clock ? options_.clock->now() : base::Instant{};
  ETCDPP_TRY(held_.back().file->sync_data());
  ETCDPP_FAILPOINT("walAfterSync");
  if (!options_.clock) return {};
  const base::Duration took = options_.clock->now() - begin;
  if (took > kSlowSync) {
    const auto seconds = [](base::Duration d) { return std::to_string(std::chrono::duration<double>(d).count()) + "s"; };
    options_.logger->warn("slow fdatasync", {{"took", seconds(took)}, {"expected-duration", "1s"}});
  }
  if (options_.on_sync) options_.on_sync(took);
  return {};
}

base::Result<> Wal::cut() {
  // The full segment ends with its data: no zeros behind it.
  ETCDPP_TRY(held_.back().file->truncate(writer_->flushed_offset()));
  ETCDPP_TRY(flush_and_sync());

  ETCDPP_ASSIGN(Preallocator::Prepared prepared, preallocator_->take());
  Segment next{held_.back().sequence + 1, newest_index_ + 1, "", std::move(prepared.file)};
  next.name = segment_name({next.sequence, next.index});
  writer_->reset(*next.file, 0);
  held_.push_back(std::move(next));
  ETCDPP_TRY(append_heads());
  ETCDPP_TRY(append_hard_state(last_state_));
  ETCDPP_TRY(flush_and_sync());

  const std::string path = directory_ + "/" + tail_name();
  ETCDPP_TRY(env_.rename(prepared.path, path));
  ETCDPP_TRY(env_.sync_directory(directory_));
  options_.logger->info("created a new WAL segment", {{"path", path}});
  return {};
}

base::Result<> Wal::release_to(std::uint64_t index) {
  if (held_.empty()) return {};
  // A segment is needed as long as the next one begins above the index.
  auto above = std::find_if(held_.begin(), held_.end(), [&](const Segment& segment) { return segment.index >= index; });
  if (above == held_.begin()) return {};
  held_.erase(held_.begin(), above - 1);
  return {};
}

base::Result<> Wal::close() {
  if (held_.empty()) return {};
  base::Result<> outcome = poisoned_ ? base::Result<>(base::Error(Errc::kPoisoned, directory_)) : guard(flush_and_sync());
  poisoned_ = true;
  preallocator_.reset();
  held_.clear();
  return outcome;
}

const std::string& Wal::tail_name() const { return held_.back().name; }
std::uint64_t Wal::tail_offset() const { return writer_->offset(); }

}  // namespace etcdpp::wal

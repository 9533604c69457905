#include "spill.h"

#include <algorithm>
#include <cerrno>

namespace etcdpp::mvccdump {

base::Result<std::unique_ptr<Spill>> Spill::create(base::Env& env, const std::string& path) {
  ETCDPP_ASSIGN(auto file, env.open(path, base::OpenMode::kCreateTruncate, 0600));
  return std::unique_ptr<Spill>(new Spill(env, path, std::move(file)));
}

Spill::~Spill() { static_cast<void>(env_.remove(path_)); }

base::Result<> Spill::flush() {
  ETCDPP_TRY(file_->write_at(written_, gathered_));
  written_ += gathered_.size();
  gathered_.clear();
  return {};
}

base::Result<> Spill::add(Bucket bucket, base::BytesView key, base::BytesView value) {
  constexpr std::size_t kGathered = 1u << 20;
  entries_.push_back({bucket, base::Bytes(key), written_ + gathered_.size(), value.size()});
  gathered_.append(value);
  return gathered_.size() >= kGathered ? flush() : base::Result<>();
}

base::Result<base::Bytes> Spill::value(const Entry& entry) {
  base::Bytes out(entry.size, '\0');
  ETCDPP_ASSIGN(const std::size_t got, file_->read_at(entry.offset, out.data(), out.size()));
  if (got != out.size()) return base::errno_error(EIO, path_ + ": has become shorter");
  return out;
}

base::Result<> Spill::sort() {
  ETCDPP_TRY(flush());
  std::stable_sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return std::tie(a.bucket, a.key) < std::tie(b.bucket, b.key); });
  std::vector<Entry> kept;
  for (Entry& entry : entries_) {
    if (kept.empty() || kept.back().bucket != entry.bucket || kept.back().key != entry.key) {
      kept.push_back(std::move(entry));
      continue;
    }
    ETCDPP_ASSIGN(const base::Bytes before, value(kept.back()));
    ETCDPP_ASSIGN(const base::Bytes now, value(entry));
    if (before == now) continue;
    ++ambiguous_;
    // Big-endian numbers compare as bytes do; a revision only grows too.
    if (entry.bucket == Bucket::kMeta && before.size() == now.size() && before > now) continue;
    kept.back() = std::move(entry);
  }
  entries_ = std::move(kept);
  return {};
}

}  // namespace etcdpp::mvccdump

#include <etcdpp/bolt/file_writer.h>

#include <algorithm>

#include <etcdpp/bolt/errc.h>
#include <etcdpp/bolt/sha256.h>

namespace etcdpp::bolt {

namespace {

constexpr std::size_t kGathered = 1u << 20;

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

FileWriter::FileWriter(base::Env& env, std::string path, std::unique_ptr<base::File> file, std::uint64_t page_size)
    : env_(env), path_(std::move(path)), file_(std::move(file)),
      writer_(Writer::without_metas(page_size, [this](base::BytesView bytes) { return write(bytes); })) {}

FileWriter::~FileWriter() {
  if (!finished_) static_cast<void>(env_.remove(path_ + ".part"));
}

base::Result<std::unique_ptr<FileWriter>> FileWriter::create(base::Env& env, const std::string& path, std::uint64_t page_size) {
  if (env.exists(path)) return base::Error(Errc::kExists, path);
  ETCDPP_ASSIGN(auto file, env.open(path + ".part", base::OpenMode::kCreateTruncate, 0600));
  return std::unique_ptr<FileWriter>(new FileWriter(env, path, std::move(file), page_size));
}

base::Result<> FileWriter::write(base::BytesView bytes) {
  gathered_.append(bytes);
  return gathered_.size() >= kGathered ? flush() : base::Result<>();
}

base::Result<> FileWriter::flush() {
  ETCDPP_TRY(file_->write_at(written_, gathered_));
  written_ += gathered_.size();
  gathered_.clear();
  return {};
}

base::Result<Plan> FileWriter::finish(bool trailer) {
  ETCDPP_ASSIGN(const Plan plan, writer_.finish());
  ETCDPP_TRY(flush());
  ETCDPP_TRY(file_->write_at(0, meta_pages(plan)));
  if (trailer) {
    ETCDPP_ASSIGN(const Sha256::Digest digest, sha256_of(*file_, plan.bytes(), {}));
    ETCDPP_TRY(file_->write_at(plan.bytes(), {digest.data(), digest.size()}));
  }
  ETCDPP_TRY(file_->sync_all());
  if (env_.exists(path_)) return base::Error(Errc::kExists, path_);
  ETCDPP_TRY(env_.rename(path_ + ".part", path_));
  finished_ = true;
  ETCDPP_TRY(env_.sync_directory(directory_of(path_)));
  return plan;
}

}  // namespace etcdpp::bolt

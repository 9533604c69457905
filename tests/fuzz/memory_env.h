#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <string>

#include <etcdpp/base/env.h>

namespace etcdpp::fuzz {

/// Files in memory, for targets that read and write files by the thousand.
class MemoryEnv final : public base::Env {
 public:
  using Bytes = std::shared_ptr<std::string>;

  void put(const std::string& path, std::string_view bytes) { files_[path] = std::make_shared<std::string>(bytes); }

  base::Result<std::unique_ptr<base::File>> open(const std::string& path, base::OpenMode mode, unsigned) override {
    auto there = files_.find(path);
    if (there == files_.end()) {
      if (mode == base::OpenMode::kReadOnly || mode == base::OpenMode::kReadWrite) return base::errno_error(ENOENT, path);
      there = files_.emplace(path, std::make_shared<std::string>()).first;
    } else if (mode == base::OpenMode::kCreateTruncate) {
      there->second->clear();
    }
    return std::unique_ptr<base::File>(std::make_unique<MemoryFile>(path, there->second));
  }
  bool exists(const std::string& path) override { return files_.contains(path); }
  base::Result<std::vector<std::string>> list(const std::string& directory) override { return base::errno_error(ENOTDIR, directory); }
  base::Result<> make_directories(const std::string&, unsigned) override { return {}; }
  base::Result<> remove(const std::string& path) override {
    files_.erase(path);
    return {};
  }
  base::Result<> remove_tree(const std::string& path) override { return remove(path); }
  base::Result<> rename(const std::string& from, const std::string& to) override {
    files_[to] = files_[from];
    return remove(from);
  }
  base::Result<> sync_directory(const std::string&) override { return {}; }

 private:
  class MemoryFile final : public base::File {
   public:
    MemoryFile(std::string path, Bytes bytes) : path_(std::move(path)), bytes_(std::move(bytes)) {}
    const std::string& path() const override { return path_; }
    base::Result<std::uint64_t> size() const override { return std::uint64_t{bytes_->size()}; }
    base::Result<std::size_t> read_at(std::uint64_t offset, char* out, std::size_t length) override {
      if (offset >= bytes_->size()) return std::size_t{0};
      const std::size_t n = std::min<std::uint64_t>(length, bytes_->size() - offset);
      std::memcpy(out, bytes_->data() + offset, n);
      return n;
    }
    base::Result<> write_at(std::uint64_t offset, std::string_view bytes) override {
      if (offset + bytes.size() > bytes_->size()) bytes_->resize(offset + bytes.size());
      std::copy(bytes.begin(), bytes.end(), bytes_->begin() + static_cast<std::ptrdiff_t>(offset));
      return {};
    }
    base::Result<> sync_data() override { return {}; }
    base::Result<> sync_all() override { return {}; }
    base::Result<> truncate(std::uint64_t size) override {
      bytes_->resize(size);
      return {};
    }
    base::Result<> allocate(std::uint64_t size) override {
      if (size > bytes_->size()) bytes_->resize(size);
      return {};
    }
    base::Result<> lock(bool) override { return {}; }
    base::Result<> drop_cache() override { return {}; }

   private:
    const std::string path_;
    const Bytes bytes_;
  };

  std::map<std::string, Bytes> files_;
};

}  // namespace etcdpp::fuzz

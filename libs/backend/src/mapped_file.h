#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace etcdpp::backend {

/// A database in the address space of this process, as signal handlers and error messages know it, for as long as it lives.
class MappedFile {
 public:
  MappedFile() = default;
  /// `base` null: where it is mapped is not known.
  MappedFile(const std::string& path, const char* base, std::uint64_t size, std::uint64_t page_size);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  /// The file has been renamed.
  void rename(const std::string& path);

  std::uint64_t page_size() const { return page_size_; }
  bool contains(const void* at) const { return base_ && at >= base_ && at < base_ + size_; }
  std::uint64_t page_of(const void* at) const { return offset_of(at) / page_size_; }
  std::uint64_t offset_of(const void* at) const { return static_cast<std::uint64_t>(static_cast<const char*>(at) - base_); }
  const char* page(std::uint64_t number) const { return base_ + number * page_size_; }

 private:
  const char* base_ = nullptr;
  std::uint64_t size_ = 0;
  std::uint64_t page_size_ = 1;
  int slot_ = -1;
};

/// While it lives, this thread is inside LMDB on that file: a fault anywhere is the file's.
class EngineCall {
 public:
  explicit EngineCall(const std::string& path) : before_(current_) { current_ = path.c_str(); }
  EngineCall(const EngineCall&) = delete;
  EngineCall& operator=(const EngineCall&) = delete;
  ~EngineCall() { current_ = before_; }
  static const char* current() { return current_; }

 private:
  const char* const before_;
  inline static thread_local const char* current_ = nullptr;
};

/// LMDB has found its own structures broken; does not return.
[[noreturn]] void engine_assertion_failed(const char* what);

}  // namespace etcdpp::backend

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <etcdpp/base/bytes.h>

namespace etcdpp::mvccdump {

/// Every key with what stats counts of it: a hash table with keys beside each other in large chunks, since millions of
/// them are looked up once per row.
class KeyTable {
 public:
  struct Entry {
    const char* key = nullptr;
    std::uint32_t key_size = 0;
    std::uint32_t revisions = 0;
    /// Of all its rows, and of the newest one.
    std::uint64_t bytes = 0;
    std::uint32_t newest_bytes = 0;
    bool deleted = false;
    std::uint64_t hash = 0;
    base::BytesView view() const { return {key, key_size}; }
  };

  KeyTable();
  /// The key's entry, a new one if it was not there. Valid until the next call.
  Entry& at(base::BytesView key);
  std::size_t size() const { return entries_.size(); }
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  void grow();
  const char* keep(base::BytesView key);

  std::vector<Entry> entries_;
  /// Index into entries_ plus one; 0 is empty.
  std::vector<std::uint32_t> slots_;
  std::vector<std::unique_ptr<char[]>> chunks_;
  char* room_ = nullptr;
  std::size_t left_ = 0;
};

}  // namespace etcdpp::mvccdump

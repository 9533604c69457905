#pragma once

#include <cstdint>
#include <cstdio>
#include <string_view>

namespace etcdpp::sim {

/// Everything that happens in a run, line by line: two runs of one seed have the same hash, or something in the server
/// looks at a real clock, an address or a device. Printed when asked for.
class Trace {
 public:
  explicit Trace(bool print) : print_(print) {}

  void line(std::string_view text) {
    for (const char c : text) mix(static_cast<unsigned char>(c));
    mix('\n');
    if (print_) std::printf("%.*s\n", static_cast<int>(text.size()), text.data());
  }
  /// Bytes that count but are not worth a line.
  void bytes(std::string_view data) {
    for (const char c : data) mix(static_cast<unsigned char>(c));
  }
  std::uint64_t hash() const { return hash_; }
  bool printed() const { return print_; }

 private:
  // FNV-1a.
  void mix(unsigned char c) { hash_ = (hash_ ^ c) * 0x100000001b3ULL; }

  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
  const bool print_;
};

}  // namespace etcdpp::sim

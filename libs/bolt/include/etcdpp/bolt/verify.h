#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <etcdpp/base/result.h>
#include <etcdpp/bolt/reader.h>

namespace etcdpp::bolt {

/// Something wrong in a database, and where.
struct Problem {
  std::uint64_t page = 0;
  /// Within the file.
  std::uint64_t offset = 0;
  std::string what;
};

/// What verify() found.
struct Verdict {
  std::uint64_t pages = 0;
  std::uint64_t reached_pages = 0;
  std::uint64_t free_pages = 0;
  std::uint64_t buckets = 0;
  std::uint64_t rows = 0;
  /// The first kMostProblems of them; `problem_count` counts all.
  std::vector<Problem> problems;
  std::uint64_t problem_count = 0;
  /// The file was written to meanwhile: problems may be of the reading, not of the file.
  bool overtaken = false;

  bool whole() const { return problem_count == 0 && !overtaken; }
  static constexpr std::size_t kMostProblems = 1'000;
};

/// Walks everything that `bbolt check` walks and what lies beyond its eyes: checksums of both metas, length of the file,
/// heads and bounds of pages, order of keys within pages and against their separators, each page reached once, inline
/// buckets, the free list (in order, in range, nothing of a tree in it, nothing forgotten). Goes on behind damage, so that
/// all of it is named. Memory: a bit per page of the file.
/// Errors: only of reading itself.
base::Result<Verdict> verify(Reader& reader);

}  // namespace etcdpp::bolt

#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/result.h>

namespace etcdpp::bolt {

/// Where everything of a database will stand: what a sizing pass yields and the metas say.
struct Plan {
  std::uint64_t page_size = 4096;
  std::uint64_t root = 0;
  std::uint64_t pages = 0;
  std::uint64_t rows = 0;
  std::uint64_t bytes() const { return pages * page_size; }
  friend bool operator==(const Plan&, const Plan&) = default;
};

/// Writes a bbolt database as one stream from sorted rows, bottom-up: leaves as they fill, branches behind them, the root
/// last. What it writes passes `bbolt check`, and etcd starts on it.
///
/// The metas stand first and name the root, which is known last. So a stream takes two passes over the same rows: one
/// through a sizing writer for the Plan, one that writes. A file needs one: FileWriter fills the metas in at the end.
///
///     Writer sizing = Writer::sizing();
///     feed(sizing);                              // begin_bucket(), add()… in order of names and keys
///     ETCDPP_ASSIGN(const Plan plan, sizing.finish());
///     Writer writer = Writer::streaming(plan, send);
///     feed(writer);
///     ETCDPP_TRY(writer.finish());
///
/// Threads: one. Memory: two pages for each level of a tree, whatever the number of rows.
/// Errors: kBadRow (out of order, no key, too long), kOtherRows, the sink's.
/// Format: docs/formats/bbolt.md. A bucket up to a quarter of a page stands inside of its value, as bbolt does it; no free
/// list is written, as etcd does it.
class Writer {
 public:
  using Sink = std::function<base::Result<>(base::BytesView bytes)>;

  /// Writes nothing.
  static Writer sizing(std::uint64_t page_size = 4096);
  /// Writes everything; finish() fails if the rows were others than those that the plan was made from.
  static Writer streaming(const Plan& plan, Sink sink);
  /// Writes zeros in the place of the metas: finish() gives the plan that meta_pages() needs.
  static Writer without_metas(std::uint64_t page_size, Sink sink);

  Writer(Writer&&) noexcept;
  ~Writer();

  /// Ends the bucket before it. Names come in order; a bucket may stay empty.
  base::Result<> begin_bucket(base::BytesView name);
  base::Result<> add(base::BytesView key, base::BytesView value);
  base::Result<Plan> finish();

  static constexpr std::size_t kLongestKey = 32'768;
  static constexpr std::size_t kLongestValue = (std::size_t{1} << 31) - 2;

 private:
  class Build;
  explicit Writer(std::unique_ptr<Build> build);
  std::unique_ptr<Build> build_;
};

/// Pages 0 and 1.
base::Bytes meta_pages(const Plan& plan);

}  // namespace etcdpp::bolt

#include <etcdpp/bolt/writer.h>

#include <etcdpp/bolt/errc.h>
#include <etcdpp/bolt/trailer.h>
#include <etcdpp/bolt/verify.h>

#include "bolt_testing.h"

namespace etcdpp::bolt {

namespace {

base::Result<> feed(Writer& writer, const Rows& rows) {
  for (const auto& [bucket, content] : rows) {
    ETCDPP_TRY(writer.begin_bucket(bucket));
    for (const auto& [key, value] : content) ETCDPP_TRY(writer.add(key, value));
  }
  return {};
}

}  // namespace

TEST_CASE("bolt: what was written is read, whatever its shape and page size") {
  const Folder folder;
  struct Shape {
    std::size_t rows, longest;
    std::uint64_t page_size;
  };
  int n = 0;
  for (const Shape& shape : {Shape{0, 0, 4096}, {1, 10, 4096}, {4, 100, 4096}, {30, 100, 4096}, {3000, 300, 4096}, {20000, 40, 4096}, {40, 300'000, 4096},
                             {500, 30, 512}, {3000, 2000, 1024}, {3000, 300, 16384}, {3000, 300, 65536}}) {
    CAPTURE(shape.rows);
    CAPTURE(shape.page_size);
    const Rows rows = example_rows(shape.rows + 7, shape.rows, shape.longest);
    const std::string path = folder / std::to_string(n++);
    const Plan plan = write_database(path, rows, shape.page_size);
    CHECK(std::filesystem::file_size(path) == plan.bytes());
    const auto read = read_database(path);
    REQUIRE(read.has_value());
    CHECK(*read == rows);
    auto reader = Reader::open(base::posix_env(), path);
    const auto verdict = verify(**reader);
    REQUIRE(verdict.has_value());
    CHECK(verdict->whole());
    for (const auto& problem : verdict->problems) MESSAGE(problem.page, " ", problem.what);
    CHECK(verdict->free_pages == 0);
    CHECK(verdict->rows == plan.rows);
  }
}

TEST_CASE("bolt: a sizing pass foretells the stream to the byte") {
  const Folder folder;
  for (const std::size_t count : {0u, 3u, 500u, 9000u}) {
    const Rows rows = example_rows(count, count, 700);
    Writer sizing = Writer::sizing();
    REQUIRE(feed(sizing, rows).has_value());
    const auto plan = sizing.finish();
    REQUIRE(plan.has_value());
    std::string streamed;
    Writer writer = Writer::streaming(*plan, [&](base::BytesView bytes) -> base::Result<> {
      streamed += bytes;
      return {};
    });
    REQUIRE(feed(writer, rows).has_value());
    REQUIRE(writer.finish().has_value());
    CHECK(streamed.size() == plan->bytes());
    const std::string path = folder / ("file" + std::to_string(count));
    CHECK(write_database(path, rows) == *plan);
    CHECK(slurp(path) == streamed);
  }
}

TEST_CASE("bolt: other rows than were sized are found") {
  Rows rows = example_rows(1, 300, 50);
  Writer sizing = Writer::sizing();
  REQUIRE(feed(sizing, rows).has_value());
  const auto plan = sizing.finish();
  rows["key"].erase(rows["key"].begin());
  Writer writer = Writer::streaming(*plan, [](base::BytesView) { return base::Result<>(); });
  REQUIRE(feed(writer, rows).has_value());
  const auto finished = writer.finish();
  REQUIRE_FALSE(finished.has_value());
  CHECK(finished.error().code == Errc::kOtherRows);
}

TEST_CASE("bolt: rows that no database can hold are refused") {
  Writer writer = Writer::sizing();
  CHECK_FALSE(writer.begin_bucket("").has_value());
  REQUIRE(writer.begin_bucket("key").has_value());
  CHECK_FALSE(writer.add("", "x").has_value());
  CHECK_FALSE(writer.add(std::string(32'769, 'k'), "x").has_value());
  CHECK(writer.add(std::string(32'768, 'k'), "x").has_value());
  CHECK_FALSE(writer.add(std::string(32'768, 'k'), "x").has_value());
  CHECK_FALSE(writer.add("a", "x").has_value());
  CHECK_FALSE(writer.begin_bucket("aaa").has_value());
}

TEST_CASE("bolt: keys as long as they may be, in leaves and branches") {
  const Folder folder;
  Rows rows;
  for (int i = 0; i < 60; ++i) rows["b"][std::string(32'768 - static_cast<std::size_t>(i), static_cast<char>('A' + i % 50)) + (i > 50 ? "z" : "")] = std::string(100, 'v');
  write_database(folder / "db", rows);
  const auto read = read_database(folder / "db");
  REQUIRE(read.has_value());
  CHECK(*read == rows);
}

TEST_CASE("bolt: a file is there whole or not at all, and never written over") {
  const Folder folder;
  {
    auto file = FileWriter::create(base::posix_env(), folder / "db");
    REQUIRE(file.has_value());
    REQUIRE((*file)->rows().begin_bucket("key").has_value());
  }
  CHECK(std::filesystem::is_empty(folder.path()));
  write_database(folder / "db", example_rows(1, 10, 10));
  const auto again = FileWriter::create(base::posix_env(), folder / "db");
  REQUIRE_FALSE(again.has_value());
  CHECK(again.error().code == Errc::kExists);
}

TEST_CASE("bolt: a trailer is written, found right, and found wrong") {
  const Folder folder;
  auto file = FileWriter::create(base::posix_env(), folder / "snapshot");
  REQUIRE(feed((*file)->rows(), example_rows(1, 100, 100)).has_value());
  const auto plan = (*file)->finish(true);
  REQUIRE(plan.has_value());
  CHECK(std::filesystem::file_size(folder / "snapshot") == plan->bytes() + 32);
  CHECK(check_trailer(base::posix_env(), folder / "snapshot").value() == Trailer::kRight);
  CHECK(read_database(folder / "snapshot").value() == example_rows(1, 100, 100));
  std::string bytes = slurp(folder / "snapshot");
  bytes[bytes.size() / 2] ^= 1;
  spill(folder / "snapshot", bytes);
  CHECK(check_trailer(base::posix_env(), folder / "snapshot").value() == Trailer::kWrong);
  write_database(folder / "db", example_rows(1, 100, 100));
  CHECK(check_trailer(base::posix_env(), folder / "db").value() == Trailer::kAbsent);
}

}  // namespace etcdpp::bolt

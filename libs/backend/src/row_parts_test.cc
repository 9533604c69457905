#include "row_parts.h"

#include <iterator>
#include <map>
#include <optional>
#include <thread>

#include <etcdpp/backend/database_file.h>
#include <etcdpp/backend/salvage.h>

#include "backend_testing.h"
#include "write_transaction.h"

namespace etcdpp::backend {

namespace {

std::string value_of(std::size_t size, std::size_t seed) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>('a' + (i * 7 + i / 251 + seed) % 26);
  return out;
}

struct Stored {
  std::string key;
  std::string value;
};

// As the write transaction cuts.
std::vector<Stored> cut(base::BytesView key, base::BytesView value) {
  std::vector<Stored> out;
  const auto add = [&](std::string under, std::string bytes, RowFormat format) {
    const std::size_t size = bytes.size();
    bytes.resize(size + kTrailerSize);
    put_trailer(bytes.data() + size, static_cast<std::uint8_t>(Bucket::kKey), under, base::BytesView(bytes).substr(0, size), format);
    out.push_back({std::move(under), std::move(bytes)});
  };
  std::string head(kRowSizeBytes, '\0');
  put_be32(head.data(), static_cast<std::uint32_t>(value.size()));
  std::size_t at = next_piece(value.size(), true);
  add(std::string(key), head + std::string(value.substr(0, at)), RowFormat::kHead);
  for (std::uint32_t number = 1; at < value.size(); ++number) {
    const std::size_t piece = next_piece(value.size() - at, false);
    add(part_key(key, number), std::string(value.substr(at, piece)), RowFormat::kPart);
    at += piece;
  }
  return out;
}

void defragment_all(Backend& backend) {
  std::optional<base::Result<Defragmented>> outcome;
  backend.defragment([&](base::Result<Defragmented> o) { outcome = std::move(o); });
  while (!outcome) {
    auto worked = backend.commit_loop().step();
    if (!worked) FAIL("step: " << worked.error().message());
    if (!*worked) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  REQUIRE(outcome->has_value());
}

}  // namespace

TEST_CASE("row parts: values of every size are cut into pieces that waste little, and come together again") {
  for (std::size_t size = 1; size < 40'000; size += size < 9'000 ? 1 : 997) {
    CAPTURE(size);
    if (in_one_piece(size)) {
      CHECK((size <= 980 || (size >= 3400 && size <= 4075)));
      continue;
    }
    const std::string key = row_key(size), value = value_of(size, 0);
    const auto parts = cut(key, value);
    REQUIRE(parts.size() >= 2);
    RowJoin join;
    std::size_t pages = 0, in_leaves = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      REQUIRE(row_is_whole("key", parts[i].key, parts[i].value));
      REQUIRE(join.take(parts[i].key, parts[i].value) == (i + 1 == parts.size() ? RowJoin::Taken::kRow : RowJoin::Taken::kMore));
      // LMDB: a value that does not fit twice into a page gets pages of its own.
      const bool own_page = parts[i].value.size() > 2000;
      REQUIRE(parts[i].value.size() <= 4080);
      pages += own_page;
      in_leaves += 10 + parts[i].key.size() + (own_page ? 8 : parts[i].value.size());
    }
    REQUIRE(join.key() == key);
    REQUIRE(join.value() == value);
    REQUIRE(pages * 4096 + in_leaves <= size + size / 4 + 100);
  }
}

TEST_CASE("row parts: a part that is missing, of another row, changed or too many is no row") {
  const auto mine = cut(row_key(7), value_of(10'000, 1)), other = cut(row_key(8), value_of(10'000, 2));
  REQUIRE(mine.size() == 4);
  const auto joins = [](const std::vector<Stored>& parts) {
    RowJoin join;
    auto taken = RowJoin::Taken::kMore;
    for (const Stored& part : parts) {
      taken = join.take(part.key, part.value);
      if (taken != RowJoin::Taken::kMore) break;
    }
    return taken == RowJoin::Taken::kRow && !join.open();
  };
  CHECK(joins(mine));
  for (std::size_t missing = 0; missing < mine.size(); ++missing) {
    auto parts = mine;
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(missing));
    CHECK_FALSE(joins(parts));
    parts = mine;
    parts[missing] = other[missing];
    CHECK_FALSE(joins(parts));
    parts = mine;
    parts[missing].value[parts[missing].value.size() / 2] ^= 1;
    CHECK_FALSE(joins(parts));
  }
  CHECK_FALSE(joins({mine[0], mine[2], mine[1], mine[3]}));

  RowJoin join;
  CHECK(join.take(mine[0].key, mine[0].value) == RowJoin::Taken::kMore);
  CHECK(join.take(other[0].key, other[0].value) == RowJoin::Taken::kWrong);
  CHECK(join.key() == mine[0].key);
  for (std::size_t i = 0; i < other.size(); ++i)
    CHECK(join.take(other[i].key, other[i].value) == (i + 1 < other.size() ? RowJoin::Taken::kMore : RowJoin::Taken::kRow));
}

TEST_CASE("row parts: through commit, reading, deletion, defragmentation and a start, rows of all sizes are what was put") {
  TestDirectory directory;
  std::map<std::string, std::string> rows;
  const auto same = [&](Backend& backend) {
    auto transaction = backend.database()->begin_read();
    REQUIRE(transaction.has_value());
    for (const auto& [key, value] : rows) {
      const auto found = transaction->get_row(key);
      REQUIRE(found.has_value());
      REQUIRE(found->has_value());
      CHECK(**found == value);
    }
    auto at = rows.begin();
    REQUIRE(transaction->scan_rows({}, {}, [&](base::BytesView key, base::BytesView value) -> base::Result<> {
      REQUIRE(at != rows.end());
      CHECK(key == at->first);
      CHECK(value == at->second);
      ++at;
      return {};
    }));
    CHECK(at == rows.end());
    // From within a row in parts: the next one.
    for (auto row = rows.begin(); row != rows.end(); ++row) {
      RowCursor cursor(*transaction);
      const auto there = cursor.seek(row->first + '\0');
      REQUIRE(there.has_value());
      CHECK(*there == (std::next(row) != rows.end()));
      if (*there) CHECK(cursor.key() == std::next(row)->first);
    }
    std::uint64_t live = 0;
    for (const auto& [key, value] : rows) live += live_size(key.size(), value.size());
    CHECK(backend.sizes().live >= live);
    CHECK(backend.sizes().live < live + 1'000);  // the small buckets
  };
  {
    auto backend = open_backend(test_options(directory));
    std::uint64_t main = 2;
    for (const std::size_t size : {1, 979, 980, 981, 2'000, 3'399, 3'400, 4'071, 4'075, 4'076, 4'080, 8'150, 12'345, 30'000, 200'000, 1'500'000, 20}) {
      const std::string key(row_key(main)), value = value_of(static_cast<std::size_t>(size), main);
      backend->buffer().append_row(key, value);
      rows[key] = value;
      ++main;
    }
    backend->buffer().set_applied(main, 1);
    commit_all(*backend);
    same(*backend);
    // A large tombstone has a row key of 18 bytes.
    const std::string tombstone = row_key(main) + "t";
    backend->buffer().append_row(tombstone, value_of(5'000, 3));
    rows[tombstone] = value_of(5'000, 3);
    backend->buffer().set_applied(main + 1, 1);
    commit_all(*backend);
    same(*backend);
    defragment_all(*backend);
    same(*backend);

    auto transaction = WriteTransaction::begin(backend->database()->environment());
    REQUIRE(transaction.has_value());
    for (auto row = rows.begin(); row != rows.end();) {
      if (row->second.size() % 2 == 0) {
        REQUIRE(transaction->erase_row(row->first, row->second.size()).has_value());
        row = rows.erase(row);
      } else {
        ++row;
      }
    }
    REQUIRE(transaction->commit().has_value());
  }
  auto backend = open_backend(test_options(directory));
  same(*backend);
  const auto file = DatabaseFile::open(base::posix_env(), directory.database());
  REQUIRE(file.has_value());
  auto at = rows.begin();
  REQUIRE((*file)->scan_rows({}, [&](const DatabaseFile::FileRow& row) -> base::Result<> {
    REQUIRE(at != rows.end());
    CHECK(row.intact);
    CHECK(row.key == at->first);
    CHECK(row.value == at->second);
    ++at;
    return {};
  }));
  CHECK(at == rows.end());
}

TEST_CASE("row parts: a part that is gone is found at the start, named by a file's reader, and salvage brings the other rows") {
  TestDirectory directory;
  const std::string lost = row_key(3);
  {
    auto backend = open_backend(test_options(directory));
    for (std::uint64_t main = 2; main < 6; ++main) backend->buffer().append_row(row_key(main), value_of(10'000 + main, main));
    backend->buffer().set_applied(9, 1);
    commit_all(*backend);
    auto transaction = WriteTransaction::begin(backend->database()->environment());
    REQUIRE(transaction.has_value());
    REQUIRE(transaction->erase_row(part_key(lost, 2), 0).has_value());
    REQUIRE(transaction->commit().has_value());
    auto reading = backend->database()->begin_read();
    REQUIRE(reading.has_value());
    CHECK(reading->get_row(row_key(2)).has_value());
    CHECK(reading->get_row(lost).error().code == Errc::kCorrupt);
    CHECK(reading->scan_rows({}, {}, [](base::BytesView, base::BytesView) -> base::Result<> { return {}; }).error().code == Errc::kCorrupt);
  }
  {
    auto backend = Backend::open(test_options(directory));
    REQUIRE(backend.has_value());
    const RowVisitor none = [](base::BytesView, base::BytesView) -> base::Result<> { return {}; };
    CHECK((*backend)->scan_key_rows(none).error().code == Errc::kCorrupt);
    backend->reset();
    const auto refused = Backend::open(test_options(directory), none);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::kCorrupt);
    CHECK(refused.error().context.find(base::hex(std::string_view(lost))) != std::string::npos);
  }
  const auto file = DatabaseFile::open(base::posix_env(), directory.database());
  REQUIRE(file.has_value());
  std::map<std::string, bool> seen;
  REQUIRE((*file)->scan_rows({}, [&](const DatabaseFile::FileRow& row) -> base::Result<> {
    seen[std::string(row.key)] = row.intact;
    return {};
  }));
  CHECK(seen[row_key(2)]);
  CHECK_FALSE(seen[lost]);
  CHECK(seen[row_key(4)]);
  CHECK(seen[row_key(5)]);

  std::map<std::string, bool> found;  // in the tree
  const auto report = salvage(base::posix_env(), directory.database(), [&](const SalvagedRow& row) -> base::Result<> {
    if (row.bucket == Bucket::kKey) {
      CHECK(row.value.size() > 10'000);
      found[std::string(row.key)] |= row.in_tree;
    }
    return {};
  });
  REQUIRE(report.has_value());
  CHECK(found[row_key(2)]);
  CHECK(found[row_key(4)]);
  CHECK(found[row_key(5)]);
  CHECK(report->loss_count > 0);
  CHECK(report->may_have_lost(Bucket::kKey, lost));
  // Its last part has been freed, but nobody has written over it: together with what the tree still has it is whole.
  REQUIRE(found.contains(lost));
  CHECK_FALSE(found[lost]);
}

TEST_CASE("row parts: a file of format 1, whose large rows stand in one piece, is read, and grows in format 2") {
  TestDirectory directory;
  std::map<std::string, std::string> rows;
  {
    auto backend = open_backend(test_options(directory));
    auto transaction = WriteTransaction::begin(backend->database()->environment());
    REQUIRE(transaction.has_value());
    for (std::uint64_t main = 2; main < 20; ++main) {
      const std::string key(row_key(main)), value = value_of(main * 1'000, main);
      std::string stored = value;
      stored.resize(value.size() + kTrailerSize);
      put_trailer(stored.data() + value.size(), static_cast<std::uint8_t>(Bucket::kKey), key, value, RowFormat::kPlain);
      MDB_val at = as_val(key), bytes = as_val(stored);
      REQUIRE(mdb_put(transaction->handle(), backend->database()->environment().key_tree(), &at, &bytes, 0) == 0);
      rows[key] = value;
    }
    REQUIRE(transaction->put_own(own_key::kFormatVersion, 1).has_value());
    REQUIRE(transaction->commit().has_value());
  }
  const auto same = [&](Backend& backend) {
    std::map<std::string, std::string> found;
    REQUIRE(backend.scan_key_rows([&](base::BytesView key, base::BytesView value) -> base::Result<> {
      found.emplace(key, value);
      return {};
    }));
    CHECK(found == rows);
  };
  std::map<std::string, std::string> at_open;
  auto opened = Backend::open(test_options(directory), [&](base::BytesView key, base::BytesView value) -> base::Result<> {
    at_open.emplace(key, value);
    return {};
  });
  REQUIRE(opened.has_value());
  CHECK(at_open == rows);
  auto backend = std::move(*opened);
  CHECK(backend->opened().format_version == kFormatVersion);
  same(*backend);
  backend->buffer().append_row(row_key(30), value_of(9'000, 30));
  rows[row_key(30)] = value_of(9'000, 30);
  backend->buffer().set_applied(5, 1);
  commit_all(*backend);
  same(*backend);
  {
    auto transaction = WriteTransaction::begin(backend->database()->environment());
    REQUIRE(transaction.has_value());
    REQUIRE(transaction->erase_row(row_key(10), 10'000).has_value());
    REQUIRE(transaction->commit().has_value());
    rows.erase(row_key(10));
  }
  same(*backend);
  defragment_all(*backend);
  same(*backend);
}

}  // namespace etcdpp::backend

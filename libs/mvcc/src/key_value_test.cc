#include <etcdpp/mvcc/key_value.h>

#include <ostream>
#include <string>

#include <doctest/doctest.h>

#include <etcdpp/mvcc/errc.h>
#include <etcdpp/mvcc/revision.h>

namespace etcdpp::mvcc {
namespace {

std::string from_hex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return out;
}

}  // namespace

TEST_CASE("row key: etcd's bytes, both ways") {
  CHECK(base::hex(RowKeyBytes({0x11, 0}, false).view()) == "00000000000000115f0000000000000000");
  CHECK(base::hex(RowKeyBytes({0x9b, 2}, true).view()) == "000000000000009b5f000000000000000274");
  const auto key = decode_row_key(RowKeyBytes({155, 7}, true).view());
  REQUIRE(key);
  CHECK(*key == RowKey{{155, 7}, true});
  CHECK(RowKeyBytes({1, 255}, true).view() < RowKeyBytes({1, 256}, false).view());
}

TEST_CASE("row key: anything else is refused") {
  const std::string good(RowKeyBytes({1, 2}, true).view());
  for (std::size_t size = 0; size < 24; ++size) {
    std::string bytes = good;
    bytes.resize(size, 't');
    CHECK(decode_row_key(bytes).has_value() == (size == 17 || size == 18));
  }
  for (const auto& [at, byte] : {std::pair{8, '-'}, {17, 'T'}, {0, '\x80'}, {9, '\xff'}}) {
    std::string bytes = good;
    bytes[static_cast<std::size_t>(at)] = byte;
    const auto decoded = decode_row_key(bytes);
    REQUIRE_FALSE(decoded);
    CHECK(decoded.error().code == Errc::kBadRowKey);
  }
}

TEST_CASE("key value: etcd's bytes, both ways") {
  const KeyValue kv{.key = "k16", .create_revision = 17, .mod_revision = 17, .version = 1, .value = "v16", .lease = 0};
  base::Bytes bytes;
  append_encoded(kv, bytes);
  CHECK(base::hex(bytes) ==
        "0a036b313610111811"
        "20012a03763136");
  const auto decoded = decode_key_value(bytes);
  REQUIRE(decoded);
  CHECK(decoded->key == "k16");
  CHECK(decoded->value == "v16");
  CHECK(decoded->mod_revision == 17);

  base::Bytes full;
  append_encoded({.key = "a",
                  .create_revision = 300,
                  .mod_revision = -1,
                  .version = INT64_MAX,
                  .value = std::string_view("\0", 1),
                  .lease = INT64_MIN},
                 full);
  const auto back = decode_key_value(full);
  REQUIRE(back);
  CHECK(back->mod_revision == -1);
  CHECK(back->version == INT64_MAX);
  CHECK(back->lease == INT64_MIN);
  CHECK(back->value == std::string_view("\0", 1));
  base::Bytes tombstone;
  append_encoded({.key = "tomb", .value = {}}, tombstone);
  CHECK(base::hex(tombstone) == "0a04746f6d62");
}

TEST_CASE("key value: decoding follows protobuf's rules and survives anything") {
  // Fields in another order, one twice, unknown ones of every wire type.
  const std::string shuffled = from_hex(
      "2a0176"
      "0a0161"
      "3801"
      "41"
      "0102030405060708"
      "4d"
      "01020304"
      "52020102"
      "0a0162");
  const auto decoded = decode_key_value(shuffled);
  REQUIRE(decoded);
  CHECK(decoded->key == "b");
  CHECK(decoded->value == "v");
  for (const char* bad : {"0a",
                          "0a05"
                          "61",
                          "00", "0b", "0801",
                          "1201"
                          "61",
                          "10", "ffffffffffffffffffff01", "0affffffffffffffff7f",
                          "41"
                          "01",
                          "4d0102"})
    CHECK_FALSE(decode_key_value(from_hex(bad)));
  CHECK(decode_key_value({}).has_value());
  // Every truncation of a good row either decodes or says no.
  base::Bytes row;
  append_encoded({.key = "some key",
                  .create_revision = 1000,
                  .mod_revision = 2000,
                  .version = 3,
                  .value = "some value",
                  .lease = 99},
                 row);
  for (std::size_t n = 0; n < row.size(); ++n) {
    auto cut = decode_key_value(base::BytesView(row).substr(0, n));
    if (cut) CHECK(cut->key.size() + cut->value.size() <= n);
  }
}

TEST_CASE("key value: framed size") {
  CHECK(framed_size(0) == 2);
  CHECK(framed_size(127) == 129);
  CHECK(framed_size(128) == 131);
  CHECK(varint_size(~std::uint64_t{0}) == 10);
}

}  // namespace etcdpp::mvcc

#include <etcdpp/base/key_range.h>

#include <string>

#include <doctest/doctest.h>

namespace etcdpp::base {

namespace {

// "?" stands for one that cannot be read.
KeyAt of(const std::vector<std::string>& keys) {
  return [keys](std::size_t i) { return keys[i] == "?" ? std::nullopt : std::optional(BytesView(keys[i])); };
}

}  // namespace

TEST_CASE("key range: a leaf's keys are where the separators say, or they say where") {
  const auto misplaced = [](const std::vector<std::string>& keys, const KeyRange& range) {
    const auto found = misplaced_keys(keys.size(), of(keys), range);
    return found ? found->first + "-" + *found->end : "none";
  };
  CHECK(misplaced({"b", "?", "c"}, {"b", "d"}) == "none");
  CHECK(misplaced({"b", "c"}, {"b", std::nullopt}) == "none");
  CHECK(misplaced({"?"}, {"b", "d"}) == "none");
  CHECK(misplaced({"b", "a", "c"}, {{}, std::nullopt}) == std::string("a-c\0", 4));
  CHECK(misplaced({"b", "b"}, {{}, std::nullopt}) == std::string("b-b\0", 4));
  CHECK(misplaced({"b", "d"}, {"b", "d"}) == std::string("b-d\0", 4));
  CHECK(misplaced({"a", "b"}, {"b", "d"}) == std::string("a-b\0", 4));
}

TEST_CASE("key range: a separator out of its place leaves its room to the one before it") {
  const std::vector<std::string> keys = {"b", "d", "c", "?", "f", "z"};
  const KeyRange range{"c", "m"};
  const auto placed = placed_separators(keys.size(), of(keys), range);
  CHECK(placed == std::vector<bool>{true, true, false, false, true, false});
  const auto below = [&](std::size_t i) {
    const KeyRange found = below_separator(i, placed, of(keys), range);
    return found.first + "-" + *found.end;
  };
  CHECK(below(0) == "c-d");
  CHECK(below(1) == "d-f");
  CHECK(below(4) == "f-m");
}

}  // namespace etcdpp::base

#include "requests.h"

#include <algorithm>
#include <cstdio>

namespace etcdpp::store_test {

namespace {

template <std::size_t n>
std::uint64_t one_of(base::Random& random, const std::uint64_t (&choices)[n]) {
  return choices[random.below(n)];
}

bool inside(const std::string& key, const Operation& range) {
  if (range.range_end.empty()) return key == range.key;
  return key >= range.key && (range.range_end == std::string(1, '\0') || key < range.range_end);
}

}  // namespace

Requests::Requests(base::Random& random)
    : random_(random),
      keys_(one_of(random, {1, 5, 30, 120, 400})),
      shape_(random.below(4)),
      longest_value_(one_of(random, {0, 20, 20, 300, 3000})),
      deletes_(one_of(random, {5, 15, 40})),
      compactions_(one_of(random, {300, 1000, 5000})) {}

std::string Requests::key() {
  const std::uint64_t n = random_.below(keys_);
  char text[64];
  switch (shape_) {
    case 0: std::snprintf(text, sizeof text, "key/%03u", static_cast<unsigned>(n)); return text;
    case 1: return std::string(1 + n / 26, static_cast<char>('a' + n % 26));  // prefixes of each other
    case 2: {  // binary, with zeros
      std::string key{static_cast<char>(n), '\0', static_cast<char>(n >> 4), '\xff'};
      key.resize(1 + n % 4);
      return key;
    }
    default: std::snprintf(text, sizeof text, "/registry/pods/a-long-namespace/%u-%u", static_cast<unsigned>(n % 7), static_cast<unsigned>(n)); return text;
  }
}

std::string Requests::range_end(const std::string& from) {
  switch (random_.below(6)) {
    case 0: return std::string(1, '\0');
    case 1: return key();
    case 2: {  // the prefix
      std::string end = from.substr(0, 1 + random_.below(from.size()));
      while (!end.empty() && end.back() == '\xff') end.pop_back();
      if (end.empty()) return std::string(1, '\0');
      ++end.back();
      return end;
    }
    case 3: return from + '\0';
    default: return {};
  }
}

Operation Requests::put() {
  Operation o{.kind = Operation::Kind::kPut, .key = key()};
  o.value.assign(random_.below(longest_value_ + 1), static_cast<char>('a' + random_.below(26)));
  if (random_.one_in(8)) o.lease = 1 + static_cast<std::int64_t>(random_.below(5));
  return o;
}

Operation Requests::erase() {
  Operation o{.kind = Operation::Kind::kDelete, .key = key()};
  if (random_.one_in(4)) o.range_end = range_end(o.key);
  return o;
}

Operation Requests::read(const Model& model) {
  Operation o{.kind = Operation::Kind::kRange, .key = key()};
  o.range_end = range_end(o.key);
  if (random_.one_in(10)) o.key.clear(), o.range_end = std::string(1, '\0');
  switch (random_.below(6)) {
    case 0: case 1: {
      const std::int64_t oldest = std::max<std::int64_t>(model.compact_revision(), 1);
      o.revision = oldest + static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(model.revision() - oldest + 1)));
      break;
    }
    case 2: o.revision = static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(model.revision()) + 3)); break;
    case 3: o.revision = std::max<std::int64_t>(0, model.compact_revision() + 1 - static_cast<std::int64_t>(random_.below(3))); break;
    default: break;
  }
  if (random_.one_in(3)) o.limit = 1 + static_cast<std::int64_t>(random_.below(10));
  o.keys_only = random_.one_in(6);
  o.count_only = random_.one_in(6);
  return o;
}

Comparison Requests::comparison(const Model& model) {
  Comparison c;
  c.key = key();
  c.target = static_cast<Comparison::Target>(random_.below(5));
  c.relation = static_cast<Comparison::Relation>(random_.below(4));
  c.number = static_cast<std::int64_t>(random_.one_in(2) ? random_.below(3) : random_.below(static_cast<std::uint64_t>(model.revision()) + 2));
  c.value.assign(random_.below(longest_value_ + 1), static_cast<char>('a' + random_.below(26)));
  return c;
}

// As the API allows: a key is put once, and not put and deleted by the same transaction.
void Requests::fill(std::vector<Operation>& branch, const Model& model) {
  for (std::uint64_t n = random_.below(6); n > 0; --n) {
    Operation o = random_.below(100) < 35 ? read(model) : random_.below(100) < deletes_ ? erase() : put();
    const bool fits = std::ranges::none_of(branch, [&](const Operation& other) {
      using Kind = Operation::Kind;
      if (o.kind == Kind::kPut && other.kind == Kind::kPut) return o.key == other.key;
      if (o.kind == Kind::kPut && other.kind == Kind::kDelete) return inside(o.key, other);
      if (o.kind == Kind::kDelete && other.kind == Kind::kPut) return inside(other.key, o);
      return false;
    });
    if (fits) branch.push_back(std::move(o));
  }
}

Entry Requests::entry(const Model& model) {
  Entry entry;
  if (random_.one_in(compactions_)) {
    entry.compaction = true;
    switch (random_.below(8)) {
      case 0: entry.revision = static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(model.revision()) + 3)) - 1; break;
      case 1: entry.revision = model.revision() + static_cast<std::int64_t>(random_.below(2)); break;
      case 2: entry.revision = model.compact_revision() + static_cast<std::int64_t>(random_.below(3)); break;
      default: entry.revision = std::max<std::int64_t>(1, model.revision() - static_cast<std::int64_t>(random_.below(300))); break;
    }
    return entry;
  }
  if (random_.below(10) < 7) {
    entry.success.push_back(random_.below(100) < deletes_ ? erase() : put());
    return entry;
  }
  for (std::uint64_t n = random_.below(3); n > 0; --n) entry.comparisons.push_back(comparison(model));
  fill(entry.success, model);
  fill(entry.failure, model);
  return entry;
}

}  // namespace etcdpp::store_test

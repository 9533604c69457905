#pragma once

#include <etcdpp/base/bytes.h>

namespace etcdpp::mvcc {

/// Which keys are meant: one, an interval, or all from one on. Borrows its bytes.
///
/// This is the API's (key, range_end) convention: an empty range_end is the single key, "\0" is every key from `key`
/// on, anything else the half-open interval, which is empty when range_end ≤ key.
class KeyRange {
 public:
  /// From a request's fields.
  static KeyRange of(base::BytesView key, base::BytesView range_end) {
    if (range_end.empty()) return single(key);
    if (range_end.size() == 1 && range_end[0] == '\0') return from(key);
    return interval(key, range_end);
  }
  static KeyRange single(base::BytesView key) { return {Kind::kSingle, key, {}}; }
  static KeyRange interval(base::BytesView begin, base::BytesView end) { return {Kind::kInterval, begin, end}; }
  static KeyRange from(base::BytesView begin) { return {Kind::kFrom, begin, {}}; }
  static KeyRange all() { return from({}); }

  bool is_single() const { return kind_ == Kind::kSingle; }
  base::BytesView begin() const { return begin_; }
  /// Meaningful for intervals only.
  base::BytesView end() const { return end_; }
  bool has_end() const { return kind_ == Kind::kInterval; }

  /// True when `key`, which is ≥ begin(), lies behind the range.
  bool ends_before(base::BytesView key) const {
    switch (kind_) {
      case Kind::kSingle:
        return key != begin_;
      case Kind::kInterval:
        return key >= end_;
      case Kind::kFrom:
        return false;
    }
    return true;
  }
  bool contains(base::BytesView key) const { return key >= begin_ && !ends_before(key); }

  /// What is left of this range at and behind `begin`; a single key stays one.
  KeyRange starting_at(base::BytesView begin) const { return {kind_, begin, end_}; }

 private:
  enum class Kind : unsigned char { kSingle, kInterval, kFrom };
  KeyRange(Kind kind, base::BytesView begin, base::BytesView end) : kind_(kind), begin_(begin), end_(end) {}

  Kind kind_;
  base::BytesView begin_;
  base::BytesView end_;
};

}  // namespace etcdpp::mvcc

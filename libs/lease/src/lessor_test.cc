#include <etcdpp/lease/lessor.h>

#include <algorithm>
#include <map>
#include <set>

#include <malloc.h>

#include <doctest/doctest.h>

#include <etcdpp/base/random.h>

namespace etcdpp::lease {
namespace {

using namespace std::chrono_literals;
using base::Instant;

struct Rows final : LeaseRows {
  std::map<base::Bytes, base::Bytes> rows;
  void put(base::BytesView key, base::BytesView value) override { rows[base::Bytes(key)] = value; }
  void erase(base::BytesView key) override { rows.erase(base::Bytes(key)); }
};

Instant at(base::Duration d) { return Instant(d); }

TEST_CASE("lease row: bytes as leasepb.Lease, zeros left out, negative ids in ten bytes") {
  CHECK(base::hex(encode_lease_row({1, 300, 0})) == "080110ac02");
  CHECK(base::hex(encode_lease_row({1, 2, 3})) == "080110021803");
  CHECK(base::hex(encode_lease_row({-1, 2, 0})) == "08ffffffffffffffffff011002");
  CHECK(base::hex(encode_lease_key(0x1234)) == "0000000000001234");
  for (const LeaseRow& row : {LeaseRow{1, 2, 3}, LeaseRow{-5, 9000000000, 0}, LeaseRow{INT64_MAX, 2, 1}}) {
    const auto decoded = decode_lease_row(encode_lease_key(row.id), encode_lease_row(row));
    REQUIRE(decoded);
    CHECK(*decoded == row);
  }
}

TEST_CASE("lease row: what no lessor wrote is refused, never read past") {
  const base::Bytes key = encode_lease_key(7), row = encode_lease_row({7, 300, 2});
  CHECK_FALSE(decode_lease_row(encode_lease_key(8), row));
  CHECK_FALSE(decode_lease_row("", row));
  CHECK_FALSE(decode_lease_row(key, ""));
  for (std::size_t length = 1; length < row.size(); ++length) {
    const auto decoded = decode_lease_row(key, row.substr(0, length));
    if (decoded) CHECK(decoded->id == 7);  // cut between fields: a shorter message
  }
  // Unknown fields of every wire type are passed over.
  const base::Bytes unknown = row + base::Bytes("\x20\x05\x29" "12345678" "\x32\x03" "abc" "\x3d" "1234", 21);
  REQUIRE(decode_lease_row(key, unknown));
  CHECK_FALSE(decode_lease_row(key, row + "\x32\x7f" "abc"));
  CHECK_FALSE(decode_lease_row(key, row + "\x29" "1"));
  CHECK_FALSE(decode_lease_row(key, row + "\x33"));
  base::Random random(1);
  for (int i = 0; i < 20000; ++i) {
    base::Bytes noise(random.below(20), '\0');
    for (char& c : noise) c = static_cast<char>(random.next());
    (void)decode_lease_row(key, noise);
  }
}

TEST_CASE("lessor: grant raises the TTL to the minimum, persists it and refuses what etcd refuses") {
  Rows rows;
  Lessor lessor({}, rows);
  CHECK(lessor.min_ttl_seconds() == 2);
  CHECK(*lessor.grant(1, 10, at(0s)) == 10);
  CHECK(*lessor.grant(2, 0, at(0s)) == 2);
  CHECK(*lessor.grant(-3, -100, at(0s)) == 2);
  CHECK(*lessor.grant(4, 9'000'000'000, at(0s)) == 9'000'000'000);
  CHECK(lessor.grant(0, 10, at(0s)).error().code == Errc::kNotFound);
  CHECK(lessor.grant(5, 9'000'000'001, at(0s)).error().code == Errc::kTtlTooLarge);
  CHECK(lessor.grant(1, 10, at(0s)).error().code == Errc::kAlreadyExists);
  CHECK(lessor.grant(1, 10, at(0s)).error().code.message() == "lease already exists");
  CHECK(rows.rows.size() == 4);
  CHECK(rows.rows[encode_lease_key(2)] == encode_lease_row({2, 2, 0}));
  LessorOptions slow;
  slow.heartbeat_interval = 500ms;
  slow.election_ticks = 5;
  CHECK(Lessor(slow, rows).min_ttl_seconds() == 4);  // 3·5/2 = 7 ticks, 3.5 s
}

TEST_CASE("lessor: a key hangs on one lease, revoke hands the keys out in byte order") {
  Rows rows;
  Lessor lessor({}, rows);
  REQUIRE(lessor.grant(1, 10, at(0s)));
  REQUIRE(lessor.grant(2, 10, at(0s)));
  CHECK(lessor.attach(3, "k").error().code == Errc::kNotFound);
  for (const char* key : {"b", "a", "c", "a"}) REQUIRE(lessor.attach(1, key));
  REQUIRE(lessor.attach(2, "b"));
  CHECK(lessor.keys(1) == std::vector<base::Bytes>{"a", "c"});
  CHECK(lessor.lease_of("b") == 2);
  REQUIRE(lessor.attach(0, "a"));
  CHECK(lessor.lease_of("a") == 0);
  REQUIRE(lessor.attach(1, "A"));
  CHECK(*lessor.revoke(1) == std::vector<base::Bytes>{"A", "c"});
  CHECK(lessor.lease_of("c") == 0);
  CHECK(lessor.revoke(1).error().code == Errc::kNotFound);
  CHECK(rows.rows.size() == 1);
  lessor.detach("b");
  lessor.detach("b");
  CHECK(lessor.attached_keys() == 0);
  CHECK(lessor.revoke(2)->empty());
}

TEST_CASE("lessor: only the primary renews, expires and knows the time") {
  Rows rows;
  Lessor lessor({}, rows);
  REQUIRE(lessor.grant(1, 10, at(0s)));
  CHECK(lessor.renew(1, at(1s)).error().code == Errc::kNotPrimary);
  CHECK(lessor.time_to_live(1, at(1s)).error().code == Errc::kNotPrimary);
  CHECK(lessor.take_expired(at(1000s), 10).empty());
  lessor.promote(1s, at(100s));
  CHECK(lessor.time_to_live(1, at(100s))->ttl_seconds == 11);
  CHECK(lessor.time_to_live(1, at(101500ms))->ttl_seconds == 9);
  CHECK(lessor.renew(2, at(101s)).error().code == Errc::kNotFound);
  CHECK(lessor.renew(1, at(101s))->outcome == Lessor::Renewal::kRenewed);
  CHECK(lessor.time_to_live(1, at(101s))->ttl_seconds == 10);
  CHECK(lessor.take_expired(at(110999ms), 10).empty());
  CHECK(lessor.take_expired(at(111s), 10) == std::vector<LeaseId>{1});
  CHECK(lessor.renew(1, at(111s))->outcome == Lessor::Renewal::kExpired);
  CHECK(lessor.take_expired(at(117s), 10).empty());
  CHECK(lessor.take_expired(at(118s), 10) == std::vector<LeaseId>{1});
  CHECK(lessor.time_to_live(1, at(112900ms))->ttl_seconds == -1);
  CHECK(lessor.time_to_live(1, at(111900ms))->ttl_seconds == 0);
  lessor.demote();
  CHECK(lessor.take_expired(at(1000s), 10).empty());
  CHECK_FALSE(lessor.next_expiry());
}

TEST_CASE("lessor: an extended lease that is renewed runs out at its own time again") {
  Rows rows;
  Lessor lessor({}, rows);
  REQUIRE(lessor.grant(1, 10, at(0s)));
  lessor.promote(100s, at(0s));
  REQUIRE(lessor.renew(1, at(1s)));
  CHECK(*lessor.next_expiry() == at(11s));
  CHECK(lessor.take_expired(at(11s), 10) == std::vector<LeaseId>{1});
  REQUIRE(lessor.revoke(1));
  CHECK(lessor.take_expired(at(1000s), 10).empty());
}

TEST_CASE("lessor: rows of a bucket bring the leases back") {
  Rows rows;
  Lessor before({}, rows);
  REQUIRE(before.grant(1, 100, at(0s)));
  REQUIRE(before.grant(2, 100, at(0s)));
  REQUIRE(before.checkpoint(2, 40, true, at(0s)));
  REQUIRE(before.checkpoint(1, 50, false, at(0s)));
  LessorOptions options;
  options.heartbeat_interval = 1s;  // minimum TTL 15 s
  Lessor after(options, rows);
  for (const auto& [key, value] : rows.rows) REQUIRE(after.restore_row(key, value));
  REQUIRE(after.restore_row(encode_lease_key(3), encode_lease_row({3, 2, 0})));
  CHECK(after.restore_row("x", "y").error().code == Errc::kCorruptRow);
  CHECK(after.size() == 3);
  after.promote(1s, at(0s));
  CHECK(after.time_to_live(1, at(0s))->ttl_seconds == 101);
  CHECK(after.time_to_live(2, at(0s))->ttl_seconds == 41);
  CHECK(after.time_to_live(3, at(0s))->granted_ttl_seconds == 15);
  CHECK(after.leases() == std::vector<LeaseId>{3, 2, 1});
  CHECK(after.renew(2, at(1s))->outcome == Lessor::Renewal::kCheckpointFirst);
  REQUIRE(after.checkpoint(2, 0, true, at(1s)));
  CHECK(after.renew(2, at(1s))->ttl_seconds == 100);
}

TEST_CASE("lessor: checkpoints of long leases come due every interval") {
  Rows rows;
  LessorOptions options;
  options.checkpoint = true;
  Lessor lessor(options, rows);
  lessor.promote(1s, at(0s));
  REQUIRE(lessor.grant(1, 3600, at(0s)));
  REQUIRE(lessor.grant(2, 300, at(0s)));  // not longer than the interval
  CHECK(lessor.take_checkpoints(at(299s), 10).empty());
  auto due = lessor.take_checkpoints(at(300500ms), 10);
  REQUIRE(due.size() == 1);
  CHECK(due[0].remaining_ttl_seconds == 3300);
  REQUIRE(lessor.checkpoint(1, 3300, true, at(301s)));
  CHECK(rows.rows[encode_lease_key(1)] == encode_lease_row({1, 3600, 3300}));
  CHECK(lessor.take_checkpoints(at(600s), 10).empty());
  CHECK(lessor.take_checkpoints(at(601s), 10).size() == 1);
  // It may be applied behind a renewal: the renewal's own goes behind it.
  REQUIRE(lessor.checkpoint(1, 0, true, at(602s)));
  CHECK(lessor.renew(1, at(602s))->outcome == Lessor::Renewal::kCheckpointFirst);
  CHECK(lessor.renew(1, at(602s), lessor.offered() - 1)->outcome == Lessor::Renewal::kCheckpointFirst);
  CHECK(lessor.renew(1, at(602s), lessor.offered())->outcome == Lessor::Renewal::kRenewed);
  CHECK(lessor.renew(1, at(603s))->outcome == Lessor::Renewal::kRenewed);
  lessor.demote();
  CHECK(lessor.take_checkpoints(at(9999s), 10).empty());
}

TEST_CASE("lessor: promote spreads what would run out at once") {
  Rows rows;
  Lessor lessor({}, rows);
  for (LeaseId id = 1; id <= 3000; ++id) REQUIRE(lessor.grant(id, 10, at(0s)));
  lessor.promote(1s, at(0s));
  std::map<std::int64_t, int> per_second;
  std::size_t seen = 0;
  for (auto now = 0ms; now < 30s; now += 100ms) {
    for (const LeaseId id : lessor.take_expired(at(now), 10000)) {
      ++seen;
      ++per_second[now / 1s];
      CHECK(now >= 11s);
      REQUIRE(lessor.revoke(id));
    }
  }
  CHECK(seen == 3000);
  for (const auto& [second, count] : per_second) CHECK(count <= 751);
  CHECK(per_second.size() == 4);
}

TEST_CASE("lessor: granting and revoking for ever leaves nothing behind") {
  Rows rows;
  LessorOptions options;
  options.checkpoint = true;
  Lessor lessor(options, rows);
  lessor.promote(1s, at(0s));
  const auto before = mallinfo2().uordblks;
  for (LeaseId id = 1; id <= 200000; ++id) {
    REQUIRE(lessor.grant(id, 1'000'000, at(0s)));
    REQUIRE(lessor.revoke(id));
  }
  CHECK(mallinfo2().uordblks < before + 200'000);
}

TEST_CASE("lessor: two hundred bytes a lease are enough") {
  struct NoRows final : LeaseRows {
    void put(base::BytesView, base::BytesView) override {}
    void erase(base::BytesView) override {}
  } rows;
  Lessor lessor({}, rows);
  lessor.promote(1s, at(0s));
  constexpr int kLeases = 200'000;
  const auto before = mallinfo2();
  for (LeaseId id = 1; id <= kLeases; ++id) REQUIRE(lessor.grant(id, 3600 + id % 100, at(0s)));
  const auto after = mallinfo2();
  const double each = static_cast<double>(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd) / kLeases;
  MESSAGE("bytes a lease: " << each);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  CHECK(each > 60);
#endif
  CHECK(each <= 200);
}

/// The lessor said slowly: a map of leases and a map of keys.
struct Model {
  struct Lease {
    std::int64_t ttl, remaining;
    Instant expiry;
    bool offered = false;  // a checkpoint of it may still be under way
  };
  std::map<LeaseId, Lease> leases;
  std::map<base::Bytes, LeaseId> items;
  bool primary = false;
};

TEST_CASE("lessor: random calls agree with a model, and no lease ends before its TTL has passed") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    base::Random random(seed);
    Rows rows;
    LessorOptions options;
    options.checkpoint = seed % 2 == 0;
    options.checkpoint_interval = 20s;
    auto lessor = std::make_unique<Lessor>(options, rows);
    Model model;
    Instant now = at(1s);
    std::map<LeaseId, Instant> handed_out;
    for (int step = 0; step < 3000; ++step) {
      now += std::chrono::milliseconds(random.below(400));
      if (random.one_in(500)) now += 60s;  // a suspended process
      const LeaseId id = static_cast<LeaseId>(random.below(12));
      const base::Bytes key(1, static_cast<char>('a' + random.below(20)));
      const auto found = model.leases.find(id);
      switch (random.below(12)) {
        case 0:
        case 1: {
          const auto ttl = static_cast<std::int64_t>(random.below(60));
          const auto granted = lessor->grant(id, ttl, now);
          CHECK(granted.has_value() == (id != 0 && found == model.leases.end()));
          if (granted) model.leases[id] = {*granted, 0, model.primary ? now + std::chrono::seconds(*granted) : Instant::max()};
          break;
        }
        case 2: {
          const auto keys = lessor->revoke(id);
          REQUIRE(keys.has_value() == (found != model.leases.end()));
          if (!keys) break;
          std::vector<base::Bytes> expected;
          for (const auto& [k, l] : model.items) if (l == id) expected.push_back(k);
          CHECK(*keys == expected);
          for (const auto& k : expected) model.items.erase(k);
          model.leases.erase(id);
          handed_out.erase(id);
          break;
        }
        case 3:
        case 4:
        case 5: {
          const bool ok = lessor->attach(id, key).has_value();
          CHECK(ok == (id == 0 || found != model.leases.end()));
          if (ok && id == 0) model.items.erase(key);
          if (ok && id != 0) model.items[key] = id;
          break;
        }
        case 6:
          lessor->detach(key);
          model.items.erase(key);
          break;
        case 7:
        case 8: {
          const bool said_so = random.one_in(4);
          const auto renewed = lessor->renew(id, now, said_so ? lessor->offered() : 0);
          CHECK(renewed.has_value() == (model.primary && found != model.leases.end()));
          if (!renewed) break;
          if (found->second.expiry <= now) {
            CHECK(renewed->outcome == Lessor::Renewal::kExpired);
          } else if (found->second.remaining > 0 || (found->second.offered && !said_so)) {
            CHECK(renewed->outcome == Lessor::Renewal::kCheckpointFirst);
          } else {
            CHECK(renewed->outcome == Lessor::Renewal::kRenewed);
            found->second.offered = false;
            found->second.expiry = now + std::chrono::seconds(found->second.ttl);
          }
          break;
        }
        case 9: {
          const auto left = static_cast<std::int64_t>(random.below(3) == 0 ? 0 : random.below(60));
          const bool ok = lessor->checkpoint(id, left, true, now).has_value();
          CHECK(ok == (found != model.leases.end()));
          if (ok) found->second.remaining = left;
          break;
        }
        case 10:
          if (!random.one_in(8)) break;
          model.primary = random.one_in(2) || !model.primary;
          handed_out.clear();
          if (model.primary) lessor->promote(1s, now);
          else lessor->demote();
          for (auto& [i, lease] : model.leases) {
            if (model.primary) lease.offered = false;
            lease.expiry = !model.primary ? Instant::max()
                                          : now + 1s + std::chrono::seconds(lease.remaining > 0 ? lease.remaining : lease.ttl);
          }
          break;
        case 11:
          if (!random.one_in(8)) break;
          lessor = std::make_unique<Lessor>(options, rows);
          for (const auto& [row_key, value] : rows.rows) REQUIRE(lessor->restore_row(row_key, value));
          for (const auto& [k, l] : model.items) REQUIRE(lessor->attach(l, k));
          model.primary = false;
          for (auto& [i, lease] : model.leases) lease.expiry = Instant::max(), lease.offered = false;
          handed_out.clear();
          break;
      }
      // Expiry may be judged with an older clock; each lease that has ended is handed out once per recheck interval.
      const Instant judged = now - std::chrono::milliseconds(random.below(300));
      for (const LeaseId ended : lessor->take_expired(judged, 1 + random.below(5))) {
        REQUIRE(model.leases.contains(ended));
        CHECK(model.leases[ended].expiry <= judged);
        if (handed_out.contains(ended)) CHECK(judged >= handed_out[ended] + options.recheck_interval);
        handed_out[ended] = judged;
      }
      for (const auto& due : lessor->take_checkpoints(now, 3)) {
        REQUIRE(model.leases.contains(due.id));
        CHECK(due.remaining_ttl_seconds < model.leases[due.id].ttl);
        CHECK(due.remaining_ttl_seconds > 0);
        model.leases[due.id].offered = true;
      }
      for (const auto& [i, lease] : model.leases) {
        if (lease.expiry != Instant::max()) {
          CHECK(lessor->time_to_live(i, now)->ttl_seconds == std::chrono::duration_cast<std::chrono::seconds>(lease.expiry - now).count());
        }
      }
      CHECK(lessor->size() == model.leases.size());
      CHECK(rows.rows.size() == model.leases.size());
      CHECK(lessor->attached_keys() == model.items.size());
      CHECK(lessor->lease_of(key) == (model.items.contains(key) ? model.items[key] : 0));
    }
    // Left alone, everything that is due comes out.
    lessor->promote(1s, now);
    std::set<LeaseId> ended;
    for (const LeaseId id : lessor->take_expired(now + 100s, 1000)) ended.insert(id);
    CHECK(ended.size() == model.leases.size());
  }
}

TEST_CASE("lease: each error has a text") {
  for (int e = static_cast<int>(Errc::kNotFound); e <= static_cast<int>(Errc::kCorruptRow); ++e) {
    CHECK(make_error_code(static_cast<Errc>(e)).message() != "unknown lease error");
  }
}

}  // namespace
}  // namespace etcdpp::lease

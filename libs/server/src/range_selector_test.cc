#include "range_selector.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>

#include <doctest/doctest.h>

#include <etcdpp/base/clock.h>
#include <etcdpp/base/env.h>
#include <etcdpp/base/logger.h>
#include <etcdpp/base/random.h>
#include <etcdpp/mvcc/store.h>

#include "range_executor.h"

namespace etcdpp::server {

namespace {

using etcdserverpb::RangeRequest;
using etcdserverpb::RangeResponse;

/// A store on a database in a directory of its own, with keys that were put, put again and deleted.
class FilledStore {
 public:
  FilledStore() {
    std::string pattern = (std::filesystem::temp_directory_path() / "etcdpp-selector-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
    backend::Options options;
    options.data_dir = directory_;
    options.env = &base::posix_env();
    options.clock = &clock_;
    options.logger = &base::null_logger();
    options.cluster_id = options.member_id = 1;
    auto opened = backend::Backend::open(options);
    REQUIRE(opened);
    backend_ = *std::move(opened);
    store = std::make_unique<mvcc::Store>(*backend_, nullptr, nullptr);
    REQUIRE(store->restore(0));
    base::Random random(7);
    for (int i = 0; i < 3000; ++i) {
      mvcc::WriteTxn txn(*store);
      const std::string key = "k/" + std::to_string(random.below(800));
      if (random.one_in(7)) {
        txn.delete_range(mvcc::KeyRange::single(key));
      } else {
        // Equal values, values with a common beginning longer than eight bytes, and short ones.
        txn.put(key, random.one_in(2) ? "the same beginning/" + std::to_string(random.below(50)) : std::to_string(random.below(20)), 0);
      }
      txn.end();
      backend_->buffer().set_applied(static_cast<std::uint64_t>(i + 1), 1);
    }
    store->publish(3000);
  }
  ~FilledStore() {
    store.reset();
    backend_.reset();
    std::filesystem::remove_all(directory_);
  }

  mvcc::RangeReader reader() const { return *mvcc::RangeReader::open(store->views()); }

  std::unique_ptr<mvcc::Store> store;

 private:
  std::string directory_;
  base::ManualClock clock_;
  std::unique_ptr<backend::Backend> backend_;
};

RangeResponse parsed(const std::string& bytes) {
  RangeResponse response;
  REQUIRE(response.ParseFromString(bytes));
  return response;
}

/// The request's answer by the book: everything in key order, then filters, order, cut.
RangeResponse model(const FilledStore& filled, const RangeRequest& request) {
  RangeRequest all;
  all.set_key(request.key());
  all.set_range_end(request.range_end());
  all.set_revision(request.revision());
  std::string bytes;
  const auto reader = filled.reader();
  append_selection(*select_range(reader, all), bytes);
  RangeResponse response = parsed(bytes);
  std::vector<mvccpb::KeyValue> kvs(response.kvs().begin(), response.kvs().end());
  const bool filtered = request.min_mod_revision() || request.max_mod_revision() || request.min_create_revision() || request.max_create_revision();
  const auto limit = static_cast<std::size_t>(request.limit());
  const bool late = request.sort_order() == RangeRequest::NONE && request.sort_target() != RangeRequest::KEY;
  if (late && !filtered && limit > 0 && kvs.size() > limit + 1) kvs.resize(limit + 1);
  std::erase_if(kvs, [&](const auto& kv) {
    return (request.min_mod_revision() && kv.mod_revision() < request.min_mod_revision()) ||
           (request.max_mod_revision() && kv.mod_revision() > request.max_mod_revision()) ||
           (request.min_create_revision() && kv.create_revision() < request.min_create_revision()) ||
           (request.max_create_revision() && kv.create_revision() > request.max_create_revision());
  });
  const auto sort = [&](auto key) {
    if (request.sort_order() == RangeRequest::DESCEND)
      std::ranges::stable_sort(kvs, [&](const auto& a, const auto& b) { return key(b) < key(a); });
    else
      std::ranges::stable_sort(kvs, [&](const auto& a, const auto& b) { return key(a) < key(b); });
  };
  switch (request.sort_target()) {
    case RangeRequest::KEY: sort([](const auto& kv) { return kv.key(); }); break;
    case RangeRequest::VERSION: sort([](const auto& kv) { return kv.version(); }); break;
    case RangeRequest::CREATE: sort([](const auto& kv) { return kv.create_revision(); }); break;
    case RangeRequest::MOD: sort([](const auto& kv) { return kv.mod_revision(); }); break;
    case RangeRequest::VALUE: sort([](const auto& kv) { return kv.value(); }); break;
    default: break;
  }
  response.clear_kvs();
  response.set_more(limit > 0 && kvs.size() > limit);
  if (response.more()) kvs.resize(limit);
  for (auto& kv : kvs) {
    if (request.keys_only()) kv.clear_value();
    *response.add_kvs() = kv;
  }
  return response;
}

/// The same by the selector, in slices of random size, each with a reader of its own.
RangeResponse in_slices(const FilledStore& filled, const RangeRequest& request, base::Random& random) {
  const std::int64_t revision = *filled.reader().resolve(request.revision());
  RangeSelector selector(request, revision);
  const auto slice = [&] { return 1 + random.below(100); };
  while (!*selector.walk(filled.reader(), slice())) {
  }
  while (!*selector.arrange(filled.reader(), slice())) {
  }
  std::string bytes;
  while (!selector.done()) REQUIRE(selector.append_next(filled.reader(), bytes));
  CHECK(bytes.size() == static_cast<std::size_t>(selector.total_bytes()));
  RangeResponse response = parsed(bytes);
  response.set_more(selector.more());
  response.set_count(filled.reader().view().index.count(mvcc::KeyRange::of(request.key(), request.range_end()), revision));
  return response;
}

}  // namespace

TEST_CASE("range selector: any order, filter and limit gives in slices what the book says") {
  const FilledStore filled;
  base::Random random(1);
  int needed = 0;
  for (int i = 0; i < 400; ++i) {
    RangeRequest request;
    request.set_key("k/" + std::to_string(random.below(10)));
    request.set_range_end(random.one_in(3) ? std::string("\0", 1) : "k/7");
    if (random.one_in(5)) {
      request.set_key("k/" + std::to_string(random.below(800)));
      request.clear_range_end();
    }
    if (random.one_in(3)) request.set_revision(2 + static_cast<std::int64_t>(random.below(2000)));
    if (random.one_in(2)) request.set_limit(1 + static_cast<std::int64_t>(random.below(300)));
    request.set_sort_order(static_cast<RangeRequest::SortOrder>(random.below(3)));
    request.set_sort_target(static_cast<RangeRequest::SortTarget>(random.below(5)));
    request.set_keys_only(random.one_in(4));
    if (random.one_in(3)) request.set_min_mod_revision(static_cast<std::int64_t>(random.below(2500)));
    if (random.one_in(3)) request.set_max_create_revision(static_cast<std::int64_t>(random.below(2500)));
    if (!RangeSelector::needed(request)) continue;
    ++needed;
    const RangeResponse expected = model(filled, request);
    const RangeResponse got = in_slices(filled, request, random);
    REQUIRE_MESSAGE(got.SerializeAsString() == expected.SerializeAsString(), request.ShortDebugString());
    std::string whole;
    append_selection(*select_range(filled.reader(), request), whole);
    REQUIRE_MESSAGE(parsed(whole).SerializeAsString() == expected.SerializeAsString(), request.ShortDebugString());
  }
  CHECK(needed > 250);
}

TEST_CASE("range selector: plain ranges, counts and single keys do not need one") {
  RangeRequest request;
  request.set_key("a");
  CHECK_FALSE(RangeSelector::needed(request));
  request.set_range_end("b");
  request.set_keys_only(true);
  request.set_limit(3);
  request.set_sort_order(RangeRequest::ASCEND);
  CHECK_FALSE(RangeSelector::needed(request));
  request.set_sort_order(RangeRequest::DESCEND);
  CHECK(RangeSelector::needed(request));
  request.set_count_only(true);
  CHECK_FALSE(RangeSelector::needed(request));
}

}  // namespace etcdpp::server

#include "watch_book.h"

#include <doctest/doctest.h>

using etcdpp::client::WatchBook;
namespace pb = etcdserverpb;

namespace {

pb::WatchResponse response(std::int64_t id, std::int64_t revision) {
  pb::WatchResponse r;
  r.set_watch_id(id);
  r.mutable_header()->set_revision(revision);
  return r;
}

pb::WatchResponse created(std::int64_t id, std::int64_t revision) {
  auto r = response(id, revision);
  r.set_created(true);
  return r;
}

pb::WatchResponse event(std::int64_t id, std::int64_t revision, bool fragment = false) {
  auto r = response(id, revision);
  r.set_fragment(fragment);
  r.add_events()->mutable_kv()->set_mod_revision(revision);
  return r;
}

std::int64_t resumes_at(WatchBook& book) {
  auto requests = book.resume();
  REQUIRE(requests.size() == 1);
  return requests[0].start_revision();
}

}  // namespace

TEST_CASE("watch book: a watcher from now on resumes behind the revision it was created at") {
  WatchBook book;
  const auto id = book.add({}).watch_id();
  CHECK(resumes_at(book) == 0);
  CHECK(book.receive(created(id, 41)));
  CHECK(resumes_at(book) == 42);
}

TEST_CASE("watch book: events and progress move the place to resume, never back") {
  WatchBook book;
  pb::WatchCreateRequest request;
  request.set_start_revision(10);
  const auto id = book.add(request).watch_id();
  CHECK(book.receive(created(id, 50)));
  CHECK(resumes_at(book) == 10);
  CHECK(book.receive(event(id, 12)));
  CHECK(resumes_at(book) == 13);
  CHECK(book.receive(response(id, 60)));
  CHECK(resumes_at(book) == 61);
  CHECK(book.receive(response(id, 40)));
  CHECK(resumes_at(book) == 61);
}

TEST_CASE("watch book: progress of the whole stream moves every watcher") {
  WatchBook book;
  book.add({});
  book.add({});
  CHECK(book.receive(response(-1, 7)));
  for (const auto& request : book.resume()) CHECK(request.start_revision() == 8);
}

TEST_CASE("watch book: created is handed out once, whatever the number of connections") {
  WatchBook book;
  const auto id = book.add({}).watch_id();
  CHECK(book.receive(created(id, 5)));
  book.resume();
  CHECK_FALSE(book.receive(created(id, 9)));
  CHECK(resumes_at(book) == 6);
}

TEST_CASE("watch book: fragments come out as one response, and again if the last is lost") {
  WatchBook book;
  const auto id = book.add({}).watch_id();
  book.receive(created(id, 5));
  CHECK_FALSE(book.receive(event(id, 6, true)));
  CHECK_FALSE(book.receive(event(id, 7, true)));
  CHECK(resumes_at(book) == 6);  // the connection is lost here

  CHECK_FALSE(book.receive(event(id, 6, true)));
  CHECK_FALSE(book.receive(event(id, 7, true)));
  auto whole = book.receive(event(id, 8));
  REQUIRE(whole);
  CHECK(whole->events_size() == 3);
  CHECK_FALSE(whole->fragment());
  CHECK(resumes_at(book) == 9);
}

TEST_CASE("watch book: a canceled watcher is forgotten, an unknown one is not handed out") {
  WatchBook book;
  const auto id = book.add({}).watch_id();
  auto canceled = response(id, 5);
  canceled.set_canceled(true);
  CHECK(book.receive(canceled));
  CHECK(book.empty());
  CHECK_FALSE(book.receive(event(id, 6)));
}

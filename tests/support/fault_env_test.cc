#include "fault_env.h"

#include <doctest/doctest.h>

using namespace etcdpp;
using base::OpenMode;
using test::FaultEnv;

namespace {
std::unique_ptr<base::File> open(FaultEnv& env, const std::string& path, OpenMode mode = OpenMode::kCreate) {
  auto file = env.open(path, mode, 0600);
  REQUIRE(file);
  return std::move(*file);
}
}  // namespace

TEST_CASE("fault env: what was not synced is lost, names apart from bytes") {
  FaultEnv env;
  REQUIRE(env.make_directories("/d"));
  REQUIRE(env.sync_directory("/"));
  auto a = open(env, "/d/a");
  REQUIRE(a->write_at(0, "synced"));
  REQUIRE(a->sync_data());
  REQUIRE(env.sync_directory("/d"));
  REQUIRE(a->write_at(6, " not"));
  auto b = open(env, "/d/b");
  REQUIRE(b->write_at(0, "bytes without a name"));
  REQUIRE(b->sync_data());
  env.crash(FaultEnv::Loss::kAll);
  CHECK(env.contents("/d/a") == "synced");
  CHECK(!env.exists("/d/b"));
  CHECK(!a->write_at(0, "x"));

  auto again = open(env, "/d/a");
  REQUIRE(again->write_at(6, " not"));
  env.kill();
  CHECK(env.contents("/d/a") == "synced not");
  env.crash(FaultEnv::Loss::kNone);
  CHECK(env.contents("/d/a") == "synced not");
}

TEST_CASE("fault env: every subset of lost pieces, and no sector shows a later write without the earlier one") {
  std::size_t pieces = 0;
  for (std::size_t mask = 0; mask == 0 || mask < (std::size_t{1} << pieces); ++mask) {
    FaultEnv env;
    auto file = open(env, "/f");
    REQUIRE(file->allocate(1024));
    REQUIRE(file->sync_all());
    REQUIRE(env.sync_directory("/"));
    REQUIRE(file->write_at(0, "A"));
    REQUIRE(file->write_at(1, "B"));
    REQUIRE(file->write_at(511, "CD"));
    pieces = env.unsynced_pieces();
    CHECK(pieces == 4);
    CHECK(env.crash([&](std::size_t n) { return (mask >> n & 1) != 0; }) == pieces);
    const std::string bytes = env.contents("/f");
    REQUIRE(bytes.size() == 1024);
    CHECK(bytes[0] == (mask & 1 ? 'A' : '\0'));
    CHECK(bytes[1] == ((mask & 3) == 3 ? 'B' : '\0'));
    CHECK(bytes[511] == ((mask & 7) == 7 ? 'C' : '\0'));
    CHECK(bytes[512] == (mask & 8 ? 'D' : '\0'));
  }
}

TEST_CASE("fault env: a rename is one step, and durable with its directory") {
  for (const bool keep : {false, true}) {
    FaultEnv env;
    REQUIRE(env.make_directories("/d.tmp"));
    open(env, "/d.tmp/f")->sync_all().value();
    REQUIRE(env.sync_directory("/d.tmp"));
    REQUIRE(env.sync_directory("/"));
    REQUIRE(env.rename("/d.tmp", "/d"));
    if (keep) REQUIRE(env.sync_directory("/"));
    env.crash(FaultEnv::Loss::kAll);
    CHECK(env.exists("/d/f") == keep);
    CHECK(env.exists("/d.tmp/f") == !keep);
  }
}

TEST_CASE("fault env: the n-th call fails, a write after some of its bytes") {
  FaultEnv env;
  auto file = open(env, "/f");
  env.fail_call(1, std::errc::no_space_on_device, 2);
  CHECK(file->write_at(0, "abcd"));
  const auto failed = file->write_at(4, "efgh");
  REQUIRE(!failed);
  CHECK(failed.error().code == std::errc::no_space_on_device);
  CHECK(env.contents("/f") == "abcdef");
  CHECK(file->write_at(6, "gh"));
}

TEST_CASE("fault env: what a failed sync covered stays lost although later syncs succeed") {
  FaultEnv env;
  auto file = open(env, "/f");
  REQUIRE(file->allocate(2048));
  REQUIRE(file->sync_all());
  REQUIRE(env.sync_directory("/"));
  REQUIRE(file->write_at(0, "first"));
  env.fail_call(0, std::errc::io_error);
  CHECK(!file->sync_data());
  REQUIRE(file->write_at(1024, "second"));
  CHECK(file->sync_data());
  char out[5];
  REQUIRE(file->read_at(0, out, 5));
  CHECK(std::string(out, 5) == "first");
  REQUIRE(file->drop_cache());
  REQUIRE(file->read_at(0, out, 5));
  CHECK(std::string(out, 5) == std::string(5, '\0'));
  env.crash(FaultEnv::Loss::kAll);
  CHECK(env.contents("/f").substr(1024, 6) == "second");
  CHECK(env.contents("/f").substr(0, 5) == std::string(5, '\0'));
}

TEST_CASE("fault env: locks end with their file, their process or the machine") {
  FaultEnv env;
  auto a = open(env, "/f");
  REQUIRE(a->lock(false));
  auto b = open(env, "/f");
  const auto held = b->lock(false);
  REQUIRE(!held);
  CHECK(held.error().code == base::EnvErrc::kLocked);
  a.reset();
  CHECK(b->lock(false));
  env.kill();
  auto c = open(env, "/f");
  CHECK(c->lock(false));
}

TEST_CASE("fault env: the same seed loses the same") {
  const auto run = [](std::uint64_t seed) {
    FaultEnv env(seed);
    auto file = open(env, "/f");
    REQUIRE(file->allocate(64 * 512));
    REQUIRE(file->sync_all());
    REQUIRE(env.sync_directory("/"));
    for (std::uint64_t i = 0; i < 64; ++i) REQUIRE(file->write_at(i * 512, "x"));
    env.crash(FaultEnv::Loss::kRandom);
    return env.contents("/f");
  };
  CHECK(run(5) == run(5));
  CHECK(run(5) != run(6));
}

#include <doctest/doctest.h>

#include <sys/stat.h>

#include <filesystem>
#include <thread>

#include <etcdpp/base/bytes.h>
#include <etcdpp/base/crc32c.h>
#include <etcdpp/base/env.h>
#include <etcdpp/base/failpoint.h>
#include <etcdpp/base/mailbox.h>
#include <etcdpp/base/random.h>
#include <etcdpp/base/worker.h>

using namespace etcdpp::base;

TEST_CASE("crc32c: the processor, the tables and the known value agree") {
  CHECK(crc32c(0, "123456789") == 0xe3069283u);
  CHECK(crc32c_portable(0, "123456789") == 0xe3069283u);
  Random random(7);
  for (int i = 0; i < 1000; ++i) {
    // From some length on several lanes run at once, and from another on in several rounds.
    std::string bytes(random.below(i % 10 == 0 ? 20'000 : 500), '\0');
    for (char& c : bytes) c = static_cast<char>(random.next());
    const auto split = bytes.empty() ? 0 : random.below(bytes.size());
    const std::string_view all = bytes;
    CHECK(crc32c(0, bytes) == crc32c_portable(0, bytes));
    CHECK(crc32c(crc32c(0, all.substr(0, split)), all.substr(split)) == crc32c(0, bytes));
  }
}

TEST_CASE("bytes: ids print without padding and terminals get nothing to obey") {
  CHECK(hex(std::uint64_t{0x3f42573304abdde}) == "3f42573304abdde");
  CHECK(hex(std::uint64_t{0}) == "0");
  CHECK(hex(std::string_view("\x00\xff", 2)) == "00ff");
  CHECK(printable("a\x1b[31m\\b\xc3") == "a\\x1b[31m\\\\b\\xc3");
  char buffer[8];
  put_be64(buffer, 0x0102030405060708);
  CHECK(buffer[0] == 1);
  CHECK(get_be64(buffer) == 0x0102030405060708);
}

TEST_CASE("shared bytes: one block, counted owners") {
  SharedBytes a(std::string_view("payload"));
  SharedBytes b = a;
  CHECK(a.data() == b.data());
  CHECK(b.view() == "payload");
  a = SharedBytes();
  CHECK(a.empty());
  CHECK(b.view() == "payload");
}

TEST_CASE("env: a hole's end is told, and a pipe where a file should be waits for nobody") {
  const std::string path = (std::filesystem::temp_directory_path() / ("etcdpp-base-test-" + hex(random_seed()))).string();
  Env& env = posix_env();
  {
    const auto file = env.open(path, OpenMode::kCreateNew).value();
    REQUIRE(file->write_at(std::uint64_t{8} << 20, "data"));
    REQUIRE(file->truncate(std::uint64_t{64} << 20));
    // Whole blocks, and not every file system keeps holes.
    const std::uint64_t data = file->next_data(0).value();
    CHECK(data <= (std::uint64_t{8} << 20));
    CHECK((data == 0 || data > (std::uint64_t{7} << 20)));
    const std::uint64_t behind = file->next_data(std::uint64_t{32} << 20).value();
    CHECK((behind == (std::uint64_t{32} << 20) || behind == (std::uint64_t{64} << 20)));
    CHECK(file->next_data(std::uint64_t{100} << 20).value() == std::uint64_t{100} << 20);
  }
  REQUIRE(env.remove(path));
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  const auto pipe = env.open(path, OpenMode::kReadOnly);
  REQUIRE(pipe);
  char byte = 0;
  CHECK(!(*pipe)->read_at(0, &byte, 1));
  REQUIRE(env.remove(path));
}

TEST_CASE("env: files, locks and directories") {
  Env& env = posix_env();
  const std::string dir = std::filesystem::temp_directory_path() / ("etcdpp-base-test-" + hex(random_seed()));
  REQUIRE(env.make_directories(dir + "/a/b"));
  auto file = env.open(dir + "/a/b/f", OpenMode::kCreateNew);
  REQUIRE(file);
  CHECK((*file)->write_at(4, "data"));
  CHECK((*file)->sync_data());
  char out[16];
  CHECK((*file)->read_at(0, out, 16).value() == 8);
  CHECK(std::string_view(out + 4, 4) == "data");
  CHECK((*file)->lock(false));
  auto second = env.open(dir + "/a/b/f", OpenMode::kReadWrite);
  REQUIRE(second);
  auto locked = (*second)->lock(false);
  REQUIRE(!locked);
  CHECK(locked.error().code == EnvErrc::kLocked);
  CHECK(!env.open(dir + "/a/b/f", OpenMode::kCreateNew));
  CHECK(env.list(dir + "/a/b").value() == std::vector<std::string>{"f"});
  CHECK(!env.list(dir + "/absent"));
  CHECK(env.sync_directory(dir + "/a/b"));
  CHECK(!env.make_directories(dir + "/a/b/f/under-a-file"));
  CHECK(env.remove_tree(dir));
  CHECK(!env.exists(dir));
}

TEST_CASE("mailbox: bounded by cost, batches in order, a closed one refuses") {
  Mailbox<int> box(10);
  CHECK(box.try_push(1, 100));  // an empty queue takes anything, else nothing large could ever pass
  CHECK(!box.try_push(2, 1));
  std::vector<int> got;
  CHECK(box.take(got));
  CHECK(got == std::vector<int>{1});
  CHECK(box.try_push(3, 5));
  CHECK(box.try_push(4, 5));
  CHECK(!box.try_push(5, 1));
  box.push_always(6);
  CHECK(box.take(got));
  CHECK(got == std::vector<int>{3, 4, 6});
  box.close();
  CHECK(!box.try_push(7));
  CHECK(!box.take(got));
}

TEST_CASE("mailbox: many senders lose nothing") {
  Mailbox<int> box(1 << 20);
  std::vector<std::jthread> senders;
  for (int s = 0; s < 4; ++s)
    senders.emplace_back([&box] {
      for (int i = 0; i < 10'000; ++i) box.try_push(1);
    });
  std::size_t sum = 0;
  std::vector<int> got;
  while (sum < 40'000) {
    box.wait();
    if (box.take(got)) sum += got.size();
  }
  CHECK(sum == 40'000);
}

TEST_CASE("failpoints: terms are understood or refused, a sleep sleeps") {
  CHECK(set_failpoints("a=sleep(20);b=off"));
  CHECK(set_failpoint("c", "2*sleep(20)"));
  for (const char* bad : {"", "explode", "sleep", "sleep(x)", "0*panic", "x*panic", "*panic"}) CHECK(!set_failpoint("d", bad));
  CHECK(!set_failpoints("a"));
  const auto took = [](const char* name) {
    const auto begin = std::chrono::steady_clock::now();
    reach_failpoint(name);
    return std::chrono::steady_clock::now() - begin;
  };
  CHECK(took("a") >= std::chrono::milliseconds(20));
  CHECK(took("c") < std::chrono::milliseconds(20));
  CHECK(took("c") >= std::chrono::milliseconds(20));
  CHECK(set_failpoint("a", "off"));
  CHECK(took("a") < std::chrono::milliseconds(20));
}

TEST_CASE("worker: pieces run one after the other, and are done when it is waited for or gone") {
  std::vector<int> order;
  {
    Worker worker("beside");
    worker.wait();
    for (int i = 0; i < 100; ++i) worker.start([&order, i] { order.push_back(i); });
    worker.wait();
    CHECK(order.size() == 100);
    worker.start([&order] { order.push_back(100); });
  }
  REQUIRE(order.size() == 101);
  for (int i = 0; i <= 100; ++i) CHECK(order[static_cast<std::size_t>(i)] == i);
}

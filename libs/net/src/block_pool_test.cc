#include "block_pool.h"

#include <cstring>
#include <limits>
#include <vector>

#include <doctest/doctest.h>

#include <etcdpp/base/random.h>

namespace etcdpp::net {

TEST_CASE("block pool: blocks keep what is written into them, whatever is taken and given back around them") {
  BlockPool pool;
  base::Random random(1);
  struct Block {
    char* at;
    std::size_t bytes;
    char fill;
  };
  std::vector<Block> blocks;
  const auto intact = [](const Block& block) {
    for (std::size_t i = 0; i < block.bytes; ++i)
      if (block.at[i] != block.fill) return false;
    return true;
  };
  std::size_t broken = 0;
  for (int step = 0; step < 50'000; ++step) {
    const std::size_t bytes = random.below(random.one_in(10) ? 5000 : 400);
    const char fill = static_cast<char>('a' + step % 26);
    if (blocks.size() < 200 || random.one_in(3)) {
      char* at = static_cast<char*>(random.one_in(2) ? pool.allocate(bytes) : pool.reallocate(nullptr, bytes));
      REQUIRE(reinterpret_cast<std::uintptr_t>(at) % alignof(std::max_align_t) == 0);
      std::memset(at, fill, bytes);
      blocks.push_back({at, bytes, fill});
      continue;
    }
    Block& block = blocks[random.below(blocks.size())];
    broken += !intact(block);
    if (random.one_in(3)) {
      block.at = static_cast<char*>(pool.reallocate(block.at, bytes));
      block.bytes = std::min(block.bytes, bytes);
      broken += !intact(block);
      std::memset(block.at, fill, bytes);
      block = {block.at, bytes, fill};
    } else {
      pool.release(block.at);
      block = blocks.back();
      blocks.pop_back();
    }
    CHECK(pool.kept_bytes() <= BlockPool::kKept);
  }
  CHECK(broken == 0);
  for (const Block& block : blocks) pool.release(block.at);
}

TEST_CASE("block pool: zeros are zeros, also where something was before, and no number is too large to be refused") {
  BlockPool pool;
  void* before = pool.allocate(96);
  std::memset(before, 'x', 96);
  pool.release(before);
  const char* zeros = static_cast<char*>(pool.allocate_zeros(12, 8));
  for (int i = 0; i < 96; ++i) CHECK(zeros[i] == 0);
  pool.release(const_cast<char*>(zeros));
  CHECK(pool.allocate_zeros(std::numeric_limits<std::size_t>::max() / 2, 3) == nullptr);
  CHECK(pool.allocate(std::numeric_limits<std::size_t>::max()) == nullptr);
  pool.release(nullptr);
}

TEST_CASE("block pool: what is kept after a burst is bounded") {
  BlockPool pool;
  std::vector<void*> blocks;
  for (int i = 0; i < 20'000; ++i) blocks.push_back(pool.allocate(1000));
  for (void* block : blocks) pool.release(block);
  CHECK(pool.kept_bytes() <= BlockPool::kKept);
}

}  // namespace etcdpp::net

#include "fibers.h"

#include <sched.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>

// ThreadSanitizer does not look into this file (its CMakeLists.txt): what stands here is nobody's while fibers run.
#if defined(ETCDPP_UNDER_TSAN)
extern "C" void __tsan_acquire(void* at);
extern "C" void __tsan_release(void* at);
extern "C" void* __tsan_create_fiber(unsigned flags);
extern "C" void __tsan_destroy_fiber(void* fiber);
extern "C" void __tsan_switch_to_fiber(void* fiber, unsigned flags);
extern "C" void* __tsan_get_current_fiber();
namespace {
constexpr unsigned kOrdersNothing = 1;
constexpr std::size_t kStack = 2u << 20;
}  // namespace
#else
namespace {
constexpr std::size_t kStack = 512u << 10;
}
#endif

namespace etcdpp::store_test {

namespace {

Fibers* running = nullptr;
/// Nobody gets on: that often nothing but waiting.
constexpr std::uint64_t kMostWaits = 200'000;
/// What comes to an end takes some thousand.
constexpr std::uint64_t kMostPoints = 5'000'000;
constexpr std::uint64_t kLongestSleep = 3'000;

// Stacks are used again: mapping one for each fiber of ten thousand schedules would be what is measured.
std::vector<void*>& free_stacks() {
  static std::vector<void*> stacks;
  return stacks;
}

}  // namespace

struct Fibers::Fiber {
  std::string name;
  std::function<void()> body;
  ucontext_t context{};
  void* stack = nullptr;
  void* tsan = nullptr;
  bool over = false;
  std::uint64_t sleeps_until = 0;
};

Fibers::Fibers(std::uint64_t seed, std::uint64_t one_in, std::uint64_t sleeps)
    : random_(seed), one_in_(one_in), sleeps_(sleeps), home_(std::make_unique<Fiber>()) {}

Fibers::~Fibers() {
  for (auto& fiber : fibers_) {
    free_stacks().push_back(fiber->stack);
#if defined(ETCDPP_UNDER_TSAN)
    __tsan_destroy_fiber(fiber->tsan);
#endif
  }
}

void Fibers::add(std::string name, std::function<void()> body) {
  auto fiber = std::make_unique<Fiber>();
  fiber->name = std::move(name);
  fiber->body = std::move(body);
  if (free_stacks().empty()) {
    fiber->stack = ::mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (fiber->stack == MAP_FAILED) std::abort();
  } else {
    fiber->stack = free_stacks().back();
    free_stacks().pop_back();
  }
  ::getcontext(&fiber->context);
  fiber->context.uc_stack.ss_sp = fiber->stack;
  fiber->context.uc_stack.ss_size = kStack;
  fiber->context.uc_link = nullptr;
  ::makecontext(&fiber->context, &Fibers::enter, 0);
#if defined(ETCDPP_UNDER_TSAN)
  fiber->tsan = __tsan_create_fiber(0);
#endif
  fibers_.push_back(std::move(fiber));
}

void Fibers::enter() {
  Fibers& all = *running;
#if defined(ETCDPP_UNDER_TSAN)
  __tsan_acquire(&all);
#endif
  all.current_->body();
  all.current_->over = true;
#if defined(ETCDPP_UNDER_TSAN)
  __tsan_release(all.current_);
#endif
  Fiber* next = all.any_other();
  all.switch_to(next ? next : all.home_.get());
  std::abort();  // nobody comes back here
}

void Fibers::switch_to(Fiber* next) {
  if (next == current_) return;
  Fiber* before = current_;
  current_ = next;
  ++switches_;
#if defined(ETCDPP_UNDER_TSAN)
  __tsan_switch_to_fiber(next->tsan, kOrdersNothing);
#endif
  ::swapcontext(&before->context, &next->context);
}

// Of those who are awake, if there are any.
Fibers::Fiber* Fibers::any_other() {
  Fiber* others[32];
  std::size_t n = 0;
  for (const bool asleep : {false, true}) {
    for (const auto& fiber : fibers_)
      if (!fiber->over && fiber.get() != current_ && (fiber->sleeps_until > now_) == asleep) others[n++] = fiber.get();
    if (n > 0) return others[random_.below(n)];
    // Nobody but this one is awake, and it has more to do.
    if (!asleep && current_ != home_.get() && !current_->over && current_->sleeps_until <= now_) return current_;
  }
  return nullptr;
}

void Fibers::run() {
  running = this;
  current_ = home_.get();
#if defined(ETCDPP_UNDER_TSAN)
  home_->tsan = __tsan_get_current_fiber();
  __tsan_release(this);
#endif
  switch_to(any_other());
#if defined(ETCDPP_UNDER_TSAN)
  for (const auto& fiber : fibers_) __tsan_acquire(fiber.get());
#endif
  running = nullptr;
}

bool Fibers::in_fiber() { return running && running->current_ != running->home_.get(); }

void Fibers::point() {
  if (!in_fiber()) return;
  Fibers& all = *running;
  ++all.points_;
  ++all.now_;
  all.waits_in_a_row_ = 0;
  if (all.points_ > kMostPoints) {
    std::fprintf(stderr, "fiber %s and others go on for ever\n", all.current_->name.c_str());
    std::abort();
  }
  if (all.sleeps_ != 0 && all.random_.one_in(all.sleeps_)) {
    all.current_->sleeps_until = all.now_ + all.random_.below(kLongestSleep);
    if (Fiber* next = all.any_other()) all.switch_to(next);
    return;
  }
  if (!all.random_.one_in(all.one_in_)) return;
  if (Fiber* next = all.any_other()) all.switch_to(next);
}

void Fibers::wait() {
  if (!in_fiber()) {
    ::sched_yield();
    return;
  }
  Fibers& all = *running;
  ++all.now_;
  if (++all.waits_in_a_row_ > kMostWaits) {
    std::fprintf(stderr, "fiber %s waits, and nobody gets on\n", all.current_->name.c_str());
    std::abort();
  }
  if (Fiber* next = all.any_other()) all.switch_to(next);
}

}  // namespace etcdpp::store_test

#include <etcdpp/net/timer_wheel.h>

#include <algorithm>
#include <bit>

namespace etcdpp::net {

void Timer::cancel() {
  if (wheel_ != nullptr) wheel_->forget(*this);
}

TimerWheel::TimerWheel(base::Instant start) : start_(start) {}

TimerWheel::~TimerWheel() {
  for (Slot& slot : slots_) {
    while (!slot.empty()) forget(slot.front());
  }
}

void TimerWheel::link(Slot& slot, Timer& timer) {
  timer.previous_ = slot.previous_;
  timer.next_ = &slot;
  slot.previous_->next_ = &timer;
  slot.previous_ = &timer;
}

void TimerWheel::unlink(Timer& timer) {
  timer.previous_->next_ = timer.next_;
  timer.next_->previous_ = timer.previous_;
  timer.next_ = timer.previous_ = nullptr;
}

void TimerWheel::forget(Timer& timer) {
  unlink(timer);
  timer.wheel_ = nullptr;
  --size_;
  const std::uint32_t slot = timer.tick_ % kSlots;
  if (slots_[slot].empty()) occupied_[slot / 64] &= ~(1ULL << slot % 64);
}

void TimerWheel::arm(Timer& timer, base::Instant due) {
  if (timer.wheel_ != nullptr) timer.wheel_->forget(timer);
  // Rounded up to the next tick, so that nothing fires early.
  std::uint64_t tick = current_;
  if (due > start_) {
    const auto since_start = static_cast<std::uint64_t>((due - start_).count());
    tick = std::max(tick, (since_start + static_cast<std::uint64_t>(kTick.count()) - 1) / static_cast<std::uint64_t>(kTick.count()));
  }
  const std::uint32_t slot = tick % kSlots;
  timer.due_ = due;
  timer.tick_ = tick;
  timer.wheel_ = this;
  link(slots_[slot], timer);
  occupied_[slot / 64] |= 1ULL << slot % 64;
  ++size_;
}

void TimerWheel::fire_slot(std::uint64_t tick) {
  const std::uint32_t index = tick % kSlots;
  if ((occupied_[index / 64] >> index % 64 & 1) == 0) return;
  // What is due moves to a list of its own first: firing may arm, move or cancel any timer, also the ones still here.
  Slot due;
  Slot& slot = slots_[index];
  for (Timer* timer = slot.next_; timer != &slot;) {
    Timer* next = timer->next_;
    if (timer->tick_ < current_) {
      unlink(*timer);
      link(due, *timer);
    }
    timer = next;
  }
  while (!due.empty()) {
    Timer& timer = due.front();
    forget(timer);
    timer.on_timer();
  }
  if (slot.empty()) occupied_[index / 64] &= ~(1ULL << index % 64);
}

void TimerWheel::advance(base::Instant now) {
  if (now < start_) return;
  const std::uint64_t target = static_cast<std::uint64_t>((now - start_) / kTick);
  if (target < current_) return;
  const std::uint64_t first = current_;
  current_ = target + 1;  // arming from a callback goes behind what is fired now
  if (size_ == 0) return;
  const std::uint64_t last = std::min(target, first + kSlots - 1);
  for (std::uint64_t tick = first; tick <= last; ++tick) fire_slot(tick);
}

std::optional<base::Instant> TimerWheel::next_due() const {
  if (size_ == 0) return std::nullopt;
  for (std::uint32_t step = 0; step <= kSlots;) {
    const std::uint32_t slot = (current_ + step) % kSlots;
    const std::uint64_t word = occupied_[slot / 64] >> slot % 64;
    if (word != 0) {
      return start_ + kTick * static_cast<std::int64_t>(current_ + step + static_cast<std::uint64_t>(std::countr_zero(word)));
    }
    step += 64 - slot % 64;
  }
  return start_ + kTick * static_cast<std::int64_t>(current_);
}

}  // namespace etcdpp::net

#pragma once

#include <cstddef>

namespace etcdpp::net {

class ReceiveBudget;
class ReceiveShare;

/// The right of one call to hold a message that arrives in parts. Before it is granted the call's window stays closed,
/// so it holds no more than one stream window. A base class of the call: asking and giving back allocate nothing.
class ReceiveGrant {
 public:
  ReceiveGrant() = default;
  ReceiveGrant(const ReceiveGrant&) = delete;
  ReceiveGrant& operator=(const ReceiveGrant&) = delete;

  bool granted() const { return state_ == State::kGranted; }
  bool waiting() const { return state_ == State::kWaiting; }

 protected:
  virtual ~ReceiveGrant() = default;
  /// There is room now (only after having waited).
  virtual void on_granted() = 0;

 private:
  friend class ReceiveBudget;
  friend class ReceiveShare;
  enum class State { kNone, kWaiting, kGranted };
  State state_ = State::kNone;
  std::size_t size_ = 0;
  ReceiveGrant* next_ = nullptr;
  ReceiveGrant* previous_ = nullptr;
};

/// Bytes of partly received messages that one I/O thread holds for all its connections.
class ReceiveBudget {
 public:
  explicit ReceiveBudget(std::size_t limit) : limit_(limit) {}
  std::size_t used() const { return used_; }

 private:
  friend class ReceiveShare;
  const std::size_t limit_;
  std::size_t used_ = 0;
  ReceiveShare* first_ = nullptr;  // shares with somebody waiting, in turn
  ReceiveShare* last_ = nullptr;
};

/// One connection's part of the budget. Waiting calls of a connection are served first come first served, connections in
/// turn, so that one that holds all its share starves nobody else. Threads: the I/O thread.
class ReceiveShare {
 public:
  ReceiveShare(ReceiveBudget& budget, std::size_t limit) : budget_(budget), limit_(limit) {}
  ReceiveShare(const ReceiveShare&) = delete;
  ReceiveShare& operator=(const ReceiveShare&) = delete;
  ~ReceiveShare() { leave_turn(); }

  /// True if granted at once; else the grant waits. A size above the limits is granted when nothing else is held.
  bool ask(ReceiveGrant& grant, std::size_t size) {
    grant.size_ = size;
    if (first_ == nullptr && fits(size)) {
      take(grant);
      return true;
    }
    grant.state_ = ReceiveGrant::State::kWaiting;
    grant.next_ = nullptr;
    grant.previous_ = last_;
    (last_ != nullptr ? last_->next_ : first_) = &grant;
    last_ = &grant;
    enter_turn();
    return false;
  }

  /// Gives back what was granted, or stops waiting; then serves who waits.
  void release(ReceiveGrant& grant) {
    if (grant.state_ == ReceiveGrant::State::kNone) return;
    if (grant.granted()) {
      used_ -= grant.size_;
      budget_.used_ -= grant.size_;
    } else {
      unlink(grant);
    }
    grant.state_ = ReceiveGrant::State::kNone;
    serve();
  }

  std::size_t used() const { return used_; }

 private:
  bool fits(std::size_t size) const {
    return (used_ == 0 || used_ + size <= limit_) && (budget_.used_ == 0 || budget_.used_ + size <= budget_.limit_);
  }
  void take(ReceiveGrant& grant) {
    grant.state_ = ReceiveGrant::State::kGranted;
    used_ += grant.size_;
    budget_.used_ += grant.size_;
  }
  void unlink(ReceiveGrant& grant) {
    (grant.previous_ != nullptr ? grant.previous_->next_ : first_) = grant.next_;
    (grant.next_ != nullptr ? grant.next_->previous_ : last_) = grant.previous_;
    if (first_ == nullptr) leave_turn();
  }
  void serve() {
    // Once around the connections at most; each gets one grant and goes to the end of the turn.
    ReceiveShare* stop = budget_.last_;
    for (ReceiveShare* share = budget_.first_; share != nullptr;) {
      ReceiveShare* next = share->next_;
      const bool last = share == stop;
      if (ReceiveGrant& grant = *share->first_; share->fits(grant.size_)) {
        share->unlink(grant);
        share->take(grant);
        if (share->first_ != nullptr) {
          share->leave_turn();
          share->enter_turn();
        }
        grant.on_granted();
      }
      if (last) break;
      share = next;
    }
  }
  void enter_turn() {
    if (in_turn_) return;
    in_turn_ = true;
    next_ = nullptr;
    previous_ = budget_.last_;
    (previous_ != nullptr ? previous_->next_ : budget_.first_) = this;
    budget_.last_ = this;
  }
  void leave_turn() {
    if (!in_turn_) return;
    in_turn_ = false;
    (previous_ != nullptr ? previous_->next_ : budget_.first_) = next_;
    (next_ != nullptr ? next_->previous_ : budget_.last_) = previous_;
  }

  ReceiveBudget& budget_;
  const std::size_t limit_;
  std::size_t used_ = 0;
  ReceiveGrant* first_ = nullptr;
  ReceiveGrant* last_ = nullptr;
  bool in_turn_ = false;
  ReceiveShare* next_ = nullptr;
  ReceiveShare* previous_ = nullptr;
};

}  // namespace etcdpp::net

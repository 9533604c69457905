#include <etcdpp/backend/map_fault.h>

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>

#include "mapped_file.h"

namespace etcdpp::backend {

namespace {

constexpr std::size_t kSlots = 64;
constexpr std::size_t kLongestPath = 1024;
constexpr unsigned kPatienceSeconds = 5;

// Read by a signal handler while other threads open and close databases: `base` is written last and cleared first.
struct Slot {
  std::atomic<bool> taken{false};
  std::atomic<const char*> base{nullptr};
  std::uint64_t size = 0;
  std::uint64_t page_size = 1;
  char path[kLongestPath] = {};
};
std::array<Slot, kSlots> slots;

MapFaultHandler handler;
struct sigaction before_bus, before_segv;
std::atomic<bool> telling{false};

// Text put together without allocating.
class Line {
 public:
  Line& operator<<(const char* text) {
    for (; *text && used_ < sizeof text_ - 1; ++text) text_[used_++] = *text;
    return *this;
  }
  Line& operator<<(std::uint64_t number) {
    char digits[24];
    char* at = digits + sizeof digits - 1;
    *at = '\0';
    do *--at = static_cast<char>('0' + number % 10);
    while ((number /= 10) != 0);
    return *this << at;
  }
  std::string_view view() const { return {text_, used_}; }
  void write_out() {
    text_[used_] = '\n';
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text_, used_ + 1);
  }

 private:
  char text_[kLongestPath + 512];
  std::size_t used_ = 0;
};

Line line;

void patience_is_over(int) {
  line.write_out();
  ::_exit(handler.exit_status);
}

[[noreturn]] void stop(const char* advice_about) {
  line << "; the member stops: look at the file with mvccdump meta " << advice_about
       << ", check the device, then rejoin the cluster or restore a snapshot";
  if (handler.tell) {
    ::signal(SIGALRM, patience_is_over);
    ::alarm(kPatienceSeconds);
    handler.tell(line.view());
  } else {
    line.write_out();
  }
  ::_exit(handler.exit_status);
}

// Only one thread tells; others that meet the same wait for the end.
void tell_alone() {
  if (!telling.exchange(true)) return;
  for (;;) ::pause();
}

void on_fault(int signal, siginfo_t* info, void* context) {
  const char* at = static_cast<const char*>(info->si_addr);
  const char* name = signal == SIGBUS ? "SIGBUS" : "SIGSEGV";
  for (Slot& slot : slots) {
    const char* base = slot.base.load(std::memory_order_acquire);
    if (!base || at < base || at >= base + slot.size) continue;
    const auto offset = static_cast<std::uint64_t>(at - base);
    tell_alone();
    line << slot.path << ": page " << offset / slot.page_size << " cannot be read (offset " << offset << ", " << name << ")";
    stop(slot.path);
  }
  if (const char* path = EngineCall::current()) {
    tell_alone();
    line << path << ": a damaged page led outside of the file (" << name << ")";
    stop(path);
  }
  const struct sigaction& before = signal == SIGBUS ? before_bus : before_segv;
  if (before.sa_flags & SA_SIGINFO) return before.sa_sigaction(signal, info, context);
  if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) return before.sa_handler(signal);
  // Back to the instruction, which faults again and ends the process as if nobody had looked.
  ::sigaction(signal, &before, nullptr);
}

}  // namespace

void install_map_fault_handler(const MapFaultHandler& wanted) {
  handler = wanted;
  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGBUS, &action, &before_bus);
  ::sigaction(SIGSEGV, &action, &before_segv);
}

void engine_assertion_failed(const char* what) {
  tell_alone();
  const char* path = EngineCall::current();
  line << (path ? path : "database") << ": LMDB found a damaged page (" << what << ")";
  stop(path ? path : "<data-dir>");
}

MappedFile::MappedFile(const std::string& path, const char* base, std::uint64_t size, std::uint64_t page_size)
    : base_(base), size_(size), page_size_(page_size) {
  if (!base) return;
  for (std::size_t i = 0; i < kSlots; ++i) {
    Slot& slot = slots[i];
    if (slot.taken.exchange(true, std::memory_order_acq_rel)) continue;
    slot_ = static_cast<int>(i);
    slot.size = size;
    slot.page_size = page_size;
    rename(path);
    slot.base.store(base, std::memory_order_release);
    return;
  }
}

MappedFile::~MappedFile() {
  if (slot_ < 0) return;
  Slot& slot = slots[static_cast<std::size_t>(slot_)];
  slot.base.store(nullptr, std::memory_order_release);
  slot.taken.store(false, std::memory_order_release);
}

void MappedFile::rename(const std::string& path) {
  if (slot_ < 0) return;
  char* out = slots[static_cast<std::size_t>(slot_)].path;
  const std::size_t size = std::min(path.size(), kLongestPath - 1);
  std::memcpy(out, path.data(), size);
  out[size] = '\0';
}

}  // namespace etcdpp::backend

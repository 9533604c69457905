// Runs one fuzz target: replays seeds, then mutates those inputs that reached new code, for a bounded number of runs or
// seconds. The target has libFuzzer's entry points (LLVMFuzzerTestOneInput, optionally LLVMFuzzerCustomMutator), so that
// the same file also links with libFuzzer; this driver exists since the project's compiler, gcc, brings none: it gets its
// coverage from -fsanitize-coverage=trace-pc. Deterministic for a given seed, as far as the target is.

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" __attribute__((weak)) std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                                                     unsigned seed);
extern "C" void __sanitizer_set_death_callback(void (*callback)());
// A decoder that asks for memory by a length it was told, or that collects without bound, is a finding.
extern "C" const char* __asan_default_options() { return "max_allocation_size_mb=1024:hard_rss_limit_mb=2048:detect_leaks=1"; }
extern "C" const char* __ubsan_default_options() { return "print_stacktrace=1:halt_on_error=1"; }

namespace {

using Input = std::vector<std::uint8_t>;

constexpr std::size_t kPoints = 1 << 16;
constexpr unsigned kHangSeconds = 20;

// One byte per pair of successive blocks: how often this run passed it.
std::array<std::uint8_t, kPoints> passed;
// The counts seen so far, as sets of magnitudes.
std::array<std::uint8_t, kPoints> seen;
std::uintptr_t previous_block = 0;

const Input* current = nullptr;
const char* artifacts = ".";

struct Random {
  std::uint64_t state;
  std::uint64_t next() {
    std::uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  std::size_t below(std::size_t n) { return n == 0 ? 0 : next() % n; }
};
Random mutations{1};

/// Called while dying: only what is safe in a signal handler.
void keep_current() {
  if (current == nullptr) return;
  std::uint64_t hash = 1469598103934665603u;
  for (const auto byte : *current) hash = (hash ^ byte) * 1099511628211u;
  char path[512];
  std::snprintf(path, sizeof path, "%s/fuzz-%016llx", artifacts, static_cast<unsigned long long>(hash));
  const int file = ::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file < 0) return;
  const auto written = ::write(file, current->data(), current->size());
  ::close(file);
  std::fprintf(stderr, "fuzz: the input (%zu bytes, %zd written) is in %s; run this program with it to see it again\n",
               current->size(), written, path);
  current = nullptr;
}

void died(int signal) {
  std::fprintf(stderr, "fuzz: %s\n", signal == SIGALRM ? "one input took too long" : "the target ended itself");
  keep_current();
  ::_exit(1);
}

unsigned magnitude(unsigned count) {
  return count >= 128 ? 128 : count >= 32 ? 64 : count >= 16 ? 32 : count >= 8 ? 16 : count >= 4 ? 8 : count >= 3 ? 4 : count;
}

/// True if it reached something new.
bool run(const Input& input) {
  passed.fill(0);
  previous_block = 0;
  current = &input;
  ::alarm(kHangSeconds);
  // A copy of exactly its size, so that a read beyond the end is seen.
  const Input exact(input);
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
  ::alarm(0);
  current = nullptr;
  bool fresh = false;
  for (std::size_t i = 0; i < kPoints; ++i) {
    // Most are zero: eight at once.
    std::uint64_t eight;
    if (i % 8 == 0 && (std::memcpy(&eight, passed.data() + i, 8), eight == 0)) {
      i += 7;
      continue;
    }
    if (passed[i] == 0) continue;
    const auto bit = static_cast<std::uint8_t>(magnitude(passed[i]));
    if ((seen[i] & bit) == 0) {
      seen[i] |= bit;
      fresh = true;
    }
  }
  return fresh;
}

void mutate_once(Input& input, std::size_t max_size) {
  static constexpr std::array<std::uint64_t, 16> kTelling = {
      0, 1, 2, 7, 8, 16, 127, 128, 255, 256, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff, 0x7fffffffffffffff, 0xffffffffffffffff};
  auto& random = mutations;
  const auto size = input.size();
  switch (size == 0 ? 3 : random.below(8)) {
    case 0: input[random.below(size)] ^= static_cast<std::uint8_t>(1u << random.below(8)); break;
    case 1: input[random.below(size)] = static_cast<std::uint8_t>(random.next()); break;
    case 2: input[random.below(size)] += static_cast<std::uint8_t>(random.below(2) ? 1 : 255); break;
    case 3: {  // insert
      Input part(1 + random.below(8));
      for (auto& byte : part) byte = static_cast<std::uint8_t>(random.next());
      input.insert(input.begin() + static_cast<std::ptrdiff_t>(random.below(size + 1)), part.begin(), part.end());
      break;
    }
    case 4: {  // erase
      const auto from = random.below(size);
      const auto count = 1 + random.below(std::min<std::size_t>(size - from, 64));
      input.erase(input.begin() + static_cast<std::ptrdiff_t>(from), input.begin() + static_cast<std::ptrdiff_t>(from + count));
      break;
    }
    case 5: {  // a telling number, in either order of bytes
      const auto width = std::size_t{1} << random.below(4);
      if (size < width) break;
      auto number = kTelling[random.below(kTelling.size())];
      if (random.below(2)) number = __builtin_bswap64(number) >> (64 - 8 * width);
      std::memcpy(input.data() + random.below(size - width + 1), &number, width);
      break;
    }
    case 6: {  // copy within
      const auto from = random.below(size), to = random.below(size);
      const auto count = random.below(size - std::max(from, to)) + 1;
      std::memmove(input.data() + to, input.data() + from, count);
      break;
    }
    case 7: {  // repeat a part
      const auto from = random.below(size);
      const Input part(input.begin() + static_cast<std::ptrdiff_t>(from),
                       input.begin() + static_cast<std::ptrdiff_t>(from + 1 + random.below(std::min<std::size_t>(size - from, 64))));
      input.insert(input.begin() + static_cast<std::ptrdiff_t>(random.below(size)), part.begin(), part.end());
      break;
    }
  }
  if (input.size() > max_size) input.resize(max_size);
}

Input offspring(const std::vector<Input>& corpus, std::size_t max_size) {
  auto& random = mutations;
  // The newest half as often as all others: what was reached last is where there is more to reach.
  const auto pick = random.below(2) ? random.below(corpus.size()) : corpus.size() - 1 - random.below((corpus.size() + 1) / 2);
  Input input = corpus[pick];
  if (random.below(8) == 0) {  // the tail of another
    const auto& other = corpus[random.below(corpus.size())];
    input.resize(random.below(input.size() + 1));
    const auto from = random.below(other.size() + 1);
    input.insert(input.end(), other.begin() + static_cast<std::ptrdiff_t>(from), other.end());
  }
  if (&LLVMFuzzerCustomMutator != nullptr) {
    auto size = std::min(input.size(), max_size);
    input.resize(max_size);
    size = LLVMFuzzerCustomMutator(input.data(), size, max_size, static_cast<unsigned>(random.next()));
    input.resize(std::min(size, max_size));
  } else {
    for (auto times = 1 + random.below(5); times > 0; --times) mutate_once(input, max_size);
  }
  if (input.size() > max_size) input.resize(max_size);
  return input;
}

Input load(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return Input(std::istreambuf_iterator<char>(file), {});
}

int usage() {
  std::fprintf(stderr,
               "usage: fuzz_TARGET [--runs N] [--seconds S] [--seed N] [--max-size BYTES] [--keep FOLDER] [--artifacts FOLDER] "
               "[FILE or FOLDER]...\n"
               "With files alone: runs each once. --keep: writes inputs that reached new code there, to start from next time.\n");
  return 2;
}

}  // namespace

/// For custom mutators: one of the plain mutations, in place.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size) {
  Input input(data, data + size);
  mutate_once(input, max_size);
  std::copy(input.begin(), input.end(), data);
  return input.size();
}

extern "C" __attribute__((no_sanitize("address", "undefined"))) void __sanitizer_cov_trace_pc() {
  const auto block = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  const auto mixed = static_cast<std::size_t>((block * 0x9e3779b97f4a7c15u) >> 48);
  auto& count = passed[(mixed ^ previous_block) & (kPoints - 1)];
  if (count < 255) ++count;
  previous_block = mixed >> 1;
}

int main(int argc, char** argv) {
  std::uint64_t runs = 0, seed = 1;
  std::size_t max_size = 4096;
  double seconds = 0;
  std::string keep;
  std::vector<Input> corpus;
  std::uint64_t done = 0;

  std::signal(SIGALRM, died);
  std::signal(SIGABRT, died);
  __sanitizer_set_death_callback(keep_current);

  std::vector<std::filesystem::path> paths;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag.rfind("--", 0) != 0) {
      paths.emplace_back(flag);
      continue;
    }
    if (++i >= argc) return usage();
    if (flag == "--runs") runs = std::strtoull(argv[i], nullptr, 10);
    else if (flag == "--seconds") seconds = std::strtod(argv[i], nullptr);
    else if (flag == "--seed") seed = std::strtoull(argv[i], nullptr, 10);
    else if (flag == "--max-size") max_size = std::strtoull(argv[i], nullptr, 10);
    else if (flag == "--keep") keep = argv[i];
    else if (flag == "--artifacts") artifacts = argv[i];
    else return usage();
  }
  mutations.state = seed;

  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  const auto remember = [&](Input input) {
    if (!keep.empty()) {
      std::ofstream file(std::filesystem::path(keep) / ("input-" + std::to_string(corpus.size())), std::ios::binary);
      file.write(reinterpret_cast<const char*>(input.data()), static_cast<std::streamsize>(input.size()));
    }
    corpus.push_back(std::move(input));
  };
  const auto replay = [&](const std::filesystem::path& path) {
    Input input = load(path);
    ++done;
    if (run(input) && input.size() <= max_size) remember(std::move(input));
  };
  if (!keep.empty()) std::filesystem::create_directories(keep);
  for (const auto& path : paths) {
    if (std::filesystem::is_directory(path)) {
      std::vector<std::filesystem::path> files;
      for (const auto& entry : std::filesystem::recursive_directory_iterator(path))
        if (entry.is_regular_file()) files.push_back(entry.path());
      std::sort(files.begin(), files.end());
      for (const auto& file : files) replay(file);
    } else if (std::filesystem::exists(path)) {
      replay(path);
    } else {
      std::fprintf(stderr, "fuzz: there is no %s; going on without it\n", path.c_str());
    }
  }
  if (corpus.empty()) corpus.push_back({});
  const auto seeds = done;
  while ((runs == 0 || done - seeds < runs) && (seconds <= 0 || elapsed() < seconds) && (runs != 0 || seconds > 0)) {
    Input input = offspring(corpus, max_size);
    ++done;
    if (run(input)) remember(std::move(input));
  }
  const auto points = std::count_if(seen.begin(), seen.end(), [](auto bits) { return bits != 0; });
  std::printf("%llu runs (%llu of them seeds) in %.1f s with seed %llu, %zu inputs kept, %lld points reached: clean\n",
              static_cast<unsigned long long>(done), static_cast<unsigned long long>(seeds), elapsed(),
              static_cast<unsigned long long>(seed), corpus.size(), static_cast<long long>(points));
  if (done == 0 || points == 0) {
    std::fprintf(stderr, "fuzz: nothing was run, or the target was built without coverage: this run shows nothing\n");
    return 1;
  }
  return 0;
}

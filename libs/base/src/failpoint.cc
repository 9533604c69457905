#include <etcdpp/base/failpoint.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace etcdpp::base {

namespace {

struct Term {
  enum class Kind { kPanic, kSleep } kind = Kind::kPanic;
  unsigned milliseconds = 0;
  /// Times to pass by before it acts.
  unsigned skip = 0;
};

/// The points that are set. The variable is read once, before the first point is reached.
class Points {
 public:
  Points() {
    if (const char* list = std::getenv("GOFAIL_FAILPOINTS"); list && !set_all(list))
      std::fprintf(stderr, "etcdpp: GOFAIL_FAILPOINTS: a term is not understood: %s\n", list);
  }

  bool set(std::string_view name, std::string_view text) {
    std::lock_guard lock(mutex_);
    if (text == "off") {
      points_.erase(std::string(name));
      return true;
    }
    const auto term = parse(text);
    if (!term || name.empty()) return false;
    points_[std::string(name)] = *term;
    return true;
  }

  bool set_all(std::string_view list) {
    while (!list.empty()) {
      const std::string_view one = list.substr(0, list.find(';'));
      list.remove_prefix(one.size() + (one.size() < list.size() ? 1 : 0));
      const std::size_t equals = one.find('=');
      if (equals == std::string_view::npos || !set(one.substr(0, equals), one.substr(equals + 1))) return false;
    }
    return true;
  }

  std::optional<Term> reach(std::string_view name) {
    std::lock_guard lock(mutex_);
    const auto point = points_.find(name);
    if (point == points_.end()) return std::nullopt;
    if (point->second.skip > 0) {
      --point->second.skip;
      return std::nullopt;
    }
    return point->second;
  }

 private:
  static std::optional<unsigned> number(std::string_view text) {
    unsigned value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
  }

  static std::optional<Term> parse(std::string_view text) {
    Term term;
    if (const std::size_t star = text.find('*'); star != std::string_view::npos) {
      const auto times = number(text.substr(0, star));
      if (!times || *times == 0) return std::nullopt;
      term.skip = *times - 1;
      text.remove_prefix(star + 1);
    }
    if (text == "panic") return term;
    if (!text.starts_with("sleep(") || !text.ends_with(")")) return std::nullopt;
    const auto milliseconds = number(text.substr(6, text.size() - 7));
    if (!milliseconds) return std::nullopt;
    term.kind = Term::Kind::kSleep;
    term.milliseconds = *milliseconds;
    return term;
  }

  std::mutex mutex_;
  std::map<std::string, Term, std::less<>> points_;  // guarded by mutex_
};

Points& points() {
  static Points all;
  return all;
}

}  // namespace

void reach_failpoint(std::string_view name) {
  const auto term = points().reach(name);
  if (!term) return;
  if (term->kind == Term::Kind::kSleep) {
    std::this_thread::sleep_for(std::chrono::milliseconds(term->milliseconds));
    return;
  }
  std::fprintf(stderr, "etcdpp: failpoint %.*s: ends here\n", static_cast<int>(name.size()), name.data());
  std::_Exit(2);
}

bool set_failpoint(std::string_view name, std::string_view term) { return points().set(name, term); }
bool set_failpoints(std::string_view list) { return points().set_all(list); }

}  // namespace etcdpp::base

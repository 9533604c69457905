// etcdpp_store_damage: every page of a small database damaged in turn, before it is opened and under its feet; README.md
// says what must come of it.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <etcdpp/backend/backend.h>
#include <etcdpp/backend/map_fault.h>
#include <etcdpp/backend/page_reader.h>
#include <etcdpp/base/clock.h>
#include <etcdpp/base/crc32c.h>
#include <etcdpp/base/random.h>
#include <etcdpp/mvcc/history_reader.h>
#include <etcdpp/mvcc/store.h>

#include "support/campaign.h"
#include "support/database_options.h"

namespace {

using namespace etcdpp;

constexpr int kNamedStop = 7;
constexpr int kNamedError = 8;
constexpr int kWrongAnswer = 9;
constexpr int kUnnamed = 10;

int told = -1;  // where a child says how it ended

void say(std::string_view text) {
  [[maybe_unused]] const auto written = ::write(told, text.data(), text.size());
}

[[noreturn]] void end(int status, std::string_view text) {
  say(text);
  ::_exit(status);
}

/// An error must say which file, and then it is a stop with a name.
[[noreturn]] void named(const base::Error& error) {
  const std::string text = error.message();
  const bool names = text.find("data.lmdb") != std::string::npos || text.find("revision ") != std::string::npos;
  end(names ? kNamedError : kUnnamed, text);
}

struct Member {
  base::ManualClock clock;
  backend::Options options;
  std::unique_ptr<backend::Backend> backend;
  std::unique_ptr<mvcc::Store> store;
  std::uint64_t index = 0;

  explicit Member(const std::string& directory) : options(test::database_options(directory, clock)) {
    options.map_size = 3 << 20;
  }
  base::Result<> open() {
    mvcc::Restoration rows;
    ETCDPP_ASSIGN(backend, backend::Backend::open(options, [&](base::BytesView key, base::BytesView value) { return rows.add(key, value); }));
    rows.end();
    store = std::make_unique<mvcc::Store>(*backend, nullptr, nullptr);
    index = backend->opened().consistent_index;
    ETCDPP_TRY(store->restore(index, std::move(rows)));
    backend->commit_loop().set_deletion_source(&store->compaction());
    return {};
  }
  base::Result<> commit() {
    backend->freeze();
    for (bool worked = true; worked;) {
      clock.advance(std::chrono::milliseconds(20));
      if (store->step_compaction()) store->publish(index);
      ETCDPP_ASSIGN(worked, backend->commit_loop().step());
      store->publish(index);
      worked = worked || !store->compaction().idle() || backend->defragment_progress();
    }
    return {};
  }
  void put(const std::string& key, const std::string& value) {
    mvcc::WriteTxn txn(*store);
    txn.put(key, value, 0);
    txn.end();
    done();
  }
  void done() {
    backend->buffer().set_applied(++index, 1);
    store->publish(index);
  }
};

/// Everything that a client or a peer could be told, as one text.
base::Result<std::string> everything(const Member& m) {
  std::string out;
  const auto add = [&](base::BytesView bytes) { out += std::to_string(bytes.size()) + ':' + std::to_string(base::crc32c(0, bytes)) + ' '; };
  const mvcc::Views& views = m.store->views();
  for (std::int64_t at = std::max<std::int64_t>(1, views.compact_revision()); at <= views.revision(); at += 29 + at % 7) {
    ETCDPP_ASSIGN(const auto reader, mvcc::RangeReader::open(views));
    std::vector<mvcc::RangeRow> rows;
    ETCDPP_ASSIGN(const auto answer, reader.range(mvcc::KeyRange::all(), {.revision = at}, rows));
    out += "\n" + std::to_string(at) + ' ' + std::to_string(answer.count) + ' ';
    for (const auto& row : rows) add(row.key_value);
  }
  mvcc::HashKv hash(views, m.store->hashes(), 0);
  ETCDPP_ASSIGN(const auto hashed, hash.run());
  out += "\nhash " + std::to_string(hashed.hash);
  ETCDPP_ASSIGN(const auto history, mvcc::read_history(views, std::max<std::int64_t>(1, views.compact_revision())));
  out += "\nhistory " + std::to_string(history.revisions.size());
  for (const backend::Bucket bucket : backend::kBuckets) {
    if (bucket == backend::Bucket::kKey) continue;
    out += "\n";
    ETCDPP_TRY(m.backend->scan_bucket(bucket, [&](base::BytesView key, base::BytesView value) -> base::Result<> {
      add(key);
      add(value);
      return {};
    }));
  }
  for (const auto& stored : m.store->hashes().all()) out += "\nstored " + std::to_string(stored.hash);
  return out;
}

// What a member does next: writes, commits, compacts, defragments.
base::Result<> go_on(Member& m) {
  for (int i = 0; i < 60; ++i) m.put("key/" + std::to_string(i * 7 % 90), std::string(static_cast<std::size_t>(i * 97 % 3000), 'n'));
  m.backend->buffer().put(backend::Bucket::kLease, "lease/3", "again");
  ETCDPP_TRY(m.commit());
  ETCDPP_TRY(m.store->compact(m.store->revision() - 30, m.index + 1));
  m.done();
  ETCDPP_TRY(m.commit());
  base::Result<> defragmented;
  m.backend->defragment([&](base::Result<backend::Defragmented> done) {
    if (!done) defragmented = done.error();
  });
  ETCDPP_TRY(m.commit());
  return defragmented;
}

void make(const std::string& directory) {
  Member m(directory);
  if (auto opened = m.open(); !opened) std::abort();
  base::Random random(3);
  // Twice over, with a compaction, so that there are branches, values on pages of their own and a free list.
  for (int round = 0; round < 8; ++round) {
    for (int i = 0; i < 60; ++i) {
      const std::string key = "key/" + std::to_string(random.below(120));
      if (random.one_in(6)) {
        mvcc::WriteTxn txn(*m.store);
        txn.delete_range(mvcc::KeyRange::single(key));
        txn.end();
        m.done();
      } else {
        m.put(key, std::string(random.one_in(8) ? 2'000 + random.below(9'000) : random.below(200), static_cast<char>('a' + random.below(26))));
      }
      if (random.one_in(10)) m.backend->buffer().put(backend::Bucket::kLease, "lease/" + std::to_string(random.below(20)), std::string(random.below(700), 'l'));
    }
    if (!m.commit()) std::abort();
    if (round == 4 && (!m.store->compact(m.store->revision() / 2, m.index + 1) || (m.done(), !m.commit()))) std::abort();
  }
}

/// Where two texts part.
std::string difference(const std::string& got, const std::string& wanted) {
  const auto at = static_cast<std::size_t>(std::ranges::mismatch(got, wanted).in1 - got.begin());
  const auto line = got.rfind('\n', at);
  const auto from = line == std::string::npos ? 0 : line;
  return got.substr(from, 60) + "..., not " + wanted.substr(from, 60);
}

struct Damage {
  std::uint64_t offset;
  unsigned char flip;
};

struct Outcome {
  int status = -1;
  std::string text;
};

/// In a process of its own, which may end in any way.
Outcome in_child(const std::function<void()>& body) {
  int ends[2];
  if (::pipe(ends) != 0) std::abort();
  const pid_t child = ::fork();
  if (child < 0) std::abort();
  if (child == 0) {
    ::close(ends[0]);
    told = ends[1];
    ::alarm(60);
    backend::install_map_fault_handler({.tell = [](std::string_view what) { say(what); }, .exit_status = kNamedStop});
    body();
    ::_exit(0);
  }
  ::close(ends[1]);
  Outcome outcome;
  char buffer[4096];
  for (ssize_t got; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;) outcome.text.append(buffer, static_cast<std::size_t>(got));
  ::close(ends[0]);
  int status = 0;
  if (::waitpid(child, &status, 0) != child) std::abort();
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

class Campaign {
 public:
  explicit Campaign(std::string home) : home_(std::move(home)) {
    make(home_ + "/whole");
    std::ifstream file(home_ + "/whole/member/etcdpp/data.lmdb", std::ios::binary);
    whole_.assign(std::istreambuf_iterator<char>(file), {});
    auto reader = backend::PageReader::open(base::posix_env(), home_ + "/whole/member/etcdpp/data.lmdb");
    if (!reader || !(*reader)->verify()) std::abort();
    page_size_ = (*reader)->page_size();
    pages_ = (*reader)->pages();
    std::filesystem::create_directories(home_ + "/one/member/etcdpp");
    put_back();
    const Outcome truth = in_child([&] {
      Member m(home_ + "/one");
      if (auto opened = m.open(); !opened) named(opened.error());
      auto before = everything(m);
      if (!before) named(before.error());
      say(*before);
      say("\v");
      if (auto went = go_on(m); !went) named(went.error());
      auto after = everything(m);
      if (!after) named(after.error());
      say(*after);
    });
    const auto middle = truth.text.find('\v');
    if (truth.status != 0 || middle == std::string::npos) {
      std::fprintf(stderr, "the undamaged database: %d %s\n", truth.status, truth.text.substr(0, 500).c_str());
      std::abort();
    }
    before_ = truth.text.substr(0, middle);
    after_ = truth.text.substr(middle + 1);
  }

  std::uint64_t pages() const { return pages_; }

  bool run(std::uint64_t page, std::uint64_t others, base::Random& random) {
    std::vector<Damage> all;
    // Heads; those of the two metas go on to the end of what is said there.
    const std::uint64_t head = page < 2 ? 16 + 24 + 96 + 16 : 16;
    for (std::uint64_t i = 0; i < head; ++i) all.push_back({page * page_size_ + i, static_cast<unsigned char>(random.one_in(4) ? 0xff : 1u << random.below(8))});
    for (std::uint64_t i = 0; i < others; ++i)
      all.push_back({page * page_size_ + (random.one_in(2) ? 16 + random.below(200) : random.below(page_size_)), static_cast<unsigned char>(1u << random.below(8))});
    return run(all);
  }

  bool run(std::uint64_t page, std::uint64_t byte, unsigned char flip) { return run({{page * page_size_ + byte, flip}}); }

  bool run(const std::vector<Damage>& all) {
    bool fine = true;
    for (const Damage& damage : all) {
      if (damage.offset >= whole_.size()) continue;
      fine &= judge_start(damage);
      fine &= judge("while it runs", damage, [&] {
        Member m(home_ + "/one");
        if (auto opened = m.open(); !opened) named(opened.error());
        damage_file(damage);
        compare_all(m);
      }, stopped_);
    }
    return fine;
  }

  void report() const {
    std::printf("%llu pages; %llu damages before the start: %llu refused by name, %llu harmless; as many while it runs: %llu stops with a name, %llu harmless or overwritten\n",
                static_cast<unsigned long long>(pages_), static_cast<unsigned long long>(refused_.tried), static_cast<unsigned long long>(refused_.named),
                static_cast<unsigned long long>(refused_.tried - refused_.named), static_cast<unsigned long long>(stopped_.named),
                static_cast<unsigned long long>(stopped_.tried - stopped_.named));
  }

 private:
  struct Count {
    std::uint64_t tried = 0, named = 0;
  };

  void put_back() {
    if (!std::exchange(changed_, true)) return;
    const std::string to = home_ + "/one/member/etcdpp";
    for (const auto& entry : std::filesystem::directory_iterator(to)) std::filesystem::remove(entry.path());
    std::ofstream(to + "/data.lmdb", std::ios::binary | std::ios::trunc) << whole_;
  }
  void damage_file(const Damage& damage) {
    const int file = ::open((home_ + "/one/member/etcdpp/data.lmdb").c_str(), O_RDWR | O_CLOEXEC);
    const char byte = static_cast<char>(whole_[damage.offset] ^ static_cast<char>(damage.flip));
    if (file < 0 || ::pwrite(file, &byte, 1, static_cast<off_t>(damage.offset)) != 1) end(kUnnamed, "cannot damage the file");
    ::close(file);
  }
  void compare_all(Member& m) {
    auto told_now = everything(m);
    if (!told_now) named(told_now.error());
    if (*told_now != before_) end(kWrongAnswer, "other answers than before the damage: " + difference(*told_now, before_));
    if (auto went = go_on(m); !went) named(went.error());
    told_now = everything(m);
    if (!told_now) named(told_now.error());
    if (*told_now != after_) end(kWrongAnswer, "other answers after some writes: " + difference(*told_now, after_));
  }
  /// Most are refused, without a process for each.
  bool judge_start(const Damage& damage) {
    put_back();
    damage_file(damage);
    {
      Member m(home_ + "/one");
      const auto opened = m.open();
      if (!opened && opened.error().message().find("data.lmdb") != std::string::npos) {
        ++refused_.tried;
        ++refused_.named;
        // Refused means untouched.
        damage_file({damage.offset, 0});
        changed_ = false;
        return true;
      }
    }
    return judge("before the start", damage, [&] {
      damage_file(damage);
      Member m(home_ + "/one");
      if (auto opened = m.open(); !opened) named(opened.error());
      compare_all(m);
    }, refused_);
  }
  bool judge(const char* when, const Damage& damage, const std::function<void()>& body, Count& count) {
    put_back();
    const Outcome outcome = in_child(body);
    ++count.tried;
    if (outcome.status == 0) return true;
    if ((outcome.status == kNamedStop || outcome.status == kNamedError) && !outcome.text.empty()) {
      ++count.named;
      return true;
    }
    std::printf("page %llu, byte %llu, bits %02x, damaged %s: status %d, \"%s\"\n", static_cast<unsigned long long>(damage.offset / page_size_),
                static_cast<unsigned long long>(damage.offset % page_size_), damage.flip, when, outcome.status, outcome.text.substr(0, 300).c_str());
    return false;
  }

  const std::string home_;
  std::string whole_, before_, after_;
  std::uint64_t page_size_ = 0, pages_ = 0;
  Count refused_, stopped_;
  bool changed_ = true;
};

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::uint64_t> arguments{{"--seed", 1}, {"--others", 12}, {"--every", 1}, {"--page", 0}, {"--byte", 0}, {"--bits", 0}};
  if (!test::read_numbers(argc, argv, arguments)) {
    std::fputs("usage: etcdpp_store_damage [--seed 1] [--others 12 (damages of a page beside those of its head)] [--every 1 (page of so many)]\n"
               "       etcdpp_store_damage --page N --byte N --bits N      one damage\n", stderr);
    return 2;
  }
  const std::uint64_t others = arguments["--others"], every = std::max<std::uint64_t>(1, arguments["--every"]);
  const std::string home = test::campaign_home("damage");
  std::filesystem::remove_all(home);
  std::filesystem::create_directories(home);
  bool fine = true;
  {
    Campaign campaign(home);
    base::Random random(arguments["--seed"]);
    if (arguments["--bits"] != 0) {
      fine = campaign.run(arguments["--page"], arguments["--byte"], static_cast<unsigned char>(arguments["--bits"]));
    } else {
      for (std::uint64_t page = 0; page < campaign.pages(); page += page < 2 ? 1 : every) fine &= campaign.run(page, others, random);
    }
    campaign.report();
  }
  std::filesystem::remove_all(home);
  return fine ? 0 : 1;
}

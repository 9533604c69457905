#include "store_run.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <etcdpp/mvcc/key_value.h>

#include "support/database_options.h"

namespace etcdpp::store_test {

namespace {

using std::chrono::milliseconds;

template <std::size_t n>
std::size_t one_of(base::Random& random, const std::size_t (&choices)[n]) {
  return choices[random.below(n)];
}

mvcc::RangeOptions options_of(const Operation& operation) {
  return {.revision = operation.revision, .limit = operation.limit, .keys_only = operation.keys_only, .count_only = operation.count_only};
}

ReadError error_of(const base::Error& error) {
  if (error.code == make_error_code(mvcc::Errc::kCompacted)) return ReadError::kCompacted;
  if (error.code == make_error_code(mvcc::Errc::kFutureRevision)) return ReadError::kFuture;
  return ReadError::kNone;
}

void write_down(const mvcc::RangeRow& row, bool keys_only, Answer& answer) {
  if (keys_only) {
    answer.bytes(row.state.key);
    for (const std::int64_t n : {row.state.modified.main, row.state.modified.sub, row.state.create_revision, row.state.version}) answer.number(n);
  } else {
    answer.bytes(row.key_value);
  }
}

}  // namespace

void StoreRun::Counts::add(const Counts& other) {
  operations += other.operations;
  reads += other.reads;
  compactions += other.compactions;
  jobs += other.jobs;
  defragmentations += other.defragmentations;
  restarts += other.restarts;
  crashes += other.crashes;
  hashes += other.hashes;
}

StoreRun::StoreRun(std::uint64_t seed, std::string directory, Machine* machine)
    : random_(seed), directory_(std::move(directory)), machine_(machine), requests_(random_) {
  if (!machine_) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }
  options_ = test::database_options(directory_, clock_);
  if (machine_) {
    options_.env = &machine_->env();
    options_.map_size = 24u << 20;
  }
  options_.batch_limit = one_of(random_, {20, 300, 10'000});
  options_.deletion_rows = one_of(random_, {10, 200, 1'000});
  copy_bytes_ = one_of(random_, {10'000, 100'000, 1 << 20});
  open();
}

StoreRun::~StoreRun() {
  close();
  if (!machine_) std::filesystem::remove_all(directory_);
}

void StoreRun::differ(const std::string& what, const std::string& got, const std::string& wanted) {
  if (!failure_.empty()) return;
  failure_ = what;
  if (!got.empty() || !wanted.empty()) failure_ += "\n    got    " + base::hex(got).substr(0, 600) + "\n    wanted " + base::hex(wanted).substr(0, 600);
}

void StoreRun::open() {
  auto opened = backend::Backend::open(options_);
  if (!fine(opened, "open")) return;
  backend_ = std::move(*opened);
  leases_ = std::make_unique<Leases>();
  store_ = std::make_unique<mvcc::Store>(*backend_, leases_.get(), nullptr);
  const std::uint64_t committed = backend_->opened().consistent_index;
  if (!fine(store_->restore(committed), "restore")) return;
  backend_->commit_loop().set_deletion_source(&store_->compaction());
  backend_->commit_loop().set_copy_pace({.slice_bytes = copy_bytes_, .log_is_slow = {}});
  compaction_hashes_.clear();
  // What is in the database is not applied again; everything else is, with the same answers.
  const std::uint64_t kept = log_.empty() ? index_ + 1 : log_.front().index;
  if (committed + 1 < kept) return differ("the database has lost committed entries: it ends at " + std::to_string(committed) + ", not at " + std::to_string(kept - 1));
  if (committed > index_) return differ("the database has entries that were never applied");
  index_ = committed;
  while (!log_.empty() && log_.front().index <= committed) log_.pop_front();
  for (const Logged& logged : log_) {
    while (backend_->saturated() && going()) commit_step();
    if (!going()) return;
    ++index_;
    if (const std::string answer = apply(logged.entry, logged.compaction_hash); answer != logged.answer)
      return differ("entry " + std::to_string(logged.index) + " applied again", answer, logged.answer);
    backend_->buffer().set_applied(index_, 1);
    backend_->freeze_if_due(clock_.now());
  }
  publish();
}

void StoreRun::close() {
  held_.clear();
  sliced_.reset();
  store_.reset();
  backend_.reset();
}

std::string StoreRun::apply(const Entry& entry, std::uint32_t compaction_hash) {
  Answer answer;
  if (entry.compaction) {
    const std::int64_t previous = store_->compact_revision();
    const bool hash_is_kept = store_->compaction().finished_revision() == previous;
    const auto done = store_->compact(entry.revision, index_);
    answer.number(static_cast<std::int64_t>(done ? ReadError::kNone : error_of(done.error())));
    if (done && hash_is_kept) compaction_hashes_[entry.revision] = {compaction_hash, previous, entry.revision};
    return answer.text();
  }
  bool succeeded = true;
  if (!entry.comparisons.empty()) {
    const auto reader = store_->applied_reader();
    if (!fine(reader, "reader")) return {};
    for (const Comparison& c : entry.comparisons) {
      std::vector<mvcc::RangeRow> rows;
      if (!fine(reader->range(mvcc::KeyRange::single(c.key), {}, rows), "comparison")) return {};
      mvcc::KeyValue kv;
      if (!rows.empty()) kv = *mvcc::decode_key_value(rows[0].key_value);
      switch (c.target) {
        case Comparison::Target::kVersion: succeeded &= c.holds(kv.version, c.number); break;
        case Comparison::Target::kCreate: succeeded &= c.holds(kv.create_revision, c.number); break;
        case Comparison::Target::kMod: succeeded &= c.holds(kv.mod_revision, c.number); break;
        case Comparison::Target::kLease: succeeded &= c.holds(kv.lease, c.number); break;
        case Comparison::Target::kValue: succeeded &= !rows.empty() && c.holds(std::string(kv.value)); break;
      }
    }
  }
  answer.number(succeeded);
  mvcc::WriteTxn txn(*store_);
  for (const Operation& operation : succeeded ? entry.success : entry.failure) {
    switch (operation.kind) {
      case Operation::Kind::kPut: txn.put(operation.key, operation.value, operation.lease); break;
      case Operation::Kind::kDelete: answer.number(txn.delete_range(mvcc::KeyRange::of(operation.key, operation.range_end))); break;
      case Operation::Kind::kRange: {
        const auto reader = txn.reader();
        if (fine(reader, "reader")) answer.bytes(read(*reader, operation));
        break;
      }
    }
    answer.number(txn.revision());
  }
  txn.end();
  return answer.text();
}

std::string StoreRun::read(const mvcc::RangeReader& reader, const Operation& operation) {
  Answer answer;
  std::vector<mvcc::RangeRow> rows;
  const auto got = reader.range(mvcc::KeyRange::of(operation.key, operation.range_end), options_of(operation), rows);
  if (!got) {
    const ReadError error = error_of(got.error());
    if (error == ReadError::kNone) differ("read: " + got.error().message());
    answer.number(static_cast<std::int64_t>(error));
    return answer.text();
  }
  answer.number(static_cast<std::int64_t>(ReadError::kNone));
  answer.number(got->current_revision);
  answer.number(got->count);
  answer.number(got->more);
  for (const mvcc::RangeRow& row : rows) write_down(row, operation.keys_only, answer);
  return answer.text();
}

void StoreRun::write() { write(requests_.entry(model_)); }

void StoreRun::write(Entry entry) {
  for (int i = 0; backend_->saturated(); ++i) {
    if (i > 1'000) return differ("the commit loop does not make room");
    commit_step();
    if (powerless()) return;
  }
  Logged logged{++index_, std::move(entry), {}, 0};
  const std::int64_t compacted = model_.compact_revision();
  logged.answer = model_.apply(logged.entry);
  if (model_.compact_revision() != compacted) ++counts_.compactions;
  logged.compaction_hash = model_.last_compaction_hash();
  const std::string got = apply(logged.entry, logged.compaction_hash);
  if (got != logged.answer) return differ("entry " + std::to_string(index_), got, logged.answer);
  backend_->buffer().set_applied(index_, 1);
  backend_->freeze_if_due(clock_.now());
  log_.push_back(std::move(logged));
}

void StoreRun::read() {
  ++counts_.reads;
  const Operation asked = requests_.read(model_);
  if (random_.one_in(2)) {
    const auto reader = store_->applied_reader();
    if (!fine(reader, "reader")) return;
    const std::string wanted = model_.read(asked, model_.revision(), model_.compact_revision());
    if (const std::string got = read(*reader, asked); got != wanted) differ("read of the applied state at " + std::to_string(asked.revision), got, wanted);
    return;
  }
  const auto reader = mvcc::RangeReader::open(store_->views());
  if (!fine(reader, "reader")) return;
  const mvcc::View& view = reader->view();
  // What a compaction that is not published has taken from the model's history.
  const std::int64_t at = asked.revision > 0 ? asked.revision : view.revision;
  if (at < model_.compact_revision() && at >= view.compact_revision && at <= view.revision) return;
  const std::string wanted = model_.read(asked, view.revision, view.compact_revision);
  if (const std::string got = read(*reader, asked); got != wanted)
    differ("read of revision " + std::to_string(asked.revision) + " of a View at " + std::to_string(view.revision), got, wanted);
}

void StoreRun::commit_step() {
  const std::uint64_t before = store_->compaction().finished_revision();
  if (!fine(backend_->commit_loop().step(), "commit")) return;
  if (static_cast<std::uint64_t>(store_->compaction().finished_revision()) != before) ++counts_.jobs;
  while (!log_.empty() && log_.front().index <= backend_->committed_index()) log_.pop_front();
}

void StoreRun::publish() { store_->publish(index_); }

// Everything committed, every job over.
void StoreRun::settle() {
  held_.clear();
  sliced_.reset();
  backend_->freeze();
  for (int i = 0; failure_.empty(); ++i) {
    if (powerless()) return;
    if (i > 200'000) return differ("a compaction does not end");
    if (store_->step_compaction(1 + random_.below(500))) publish();
    clock_.advance(milliseconds(20));
    commit_step();
    backend_->freeze();
    publish();
    if (log_.empty() && store_->compaction().idle() && !backend_->defragment_progress()) break;
  }
}

void StoreRun::crash() {
  do {
    ++counts_.crashes;
    close();
    if (machine_) machine_->restart();
    open();
  } while (failure_.empty() && powerless());
}

void StoreRun::hash() {
  ++counts_.hashes;
  publish();
  const std::int64_t oldest = std::max<std::int64_t>(model_.compact_revision(), 1);
  const std::int64_t at = oldest + static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(model_.revision() - oldest + 1)));
  mvcc::HashKv hash(store_->views(), store_->hashes(), at);
  const auto got = hash.run();
  if (!fine(got, "HashKV")) return;
  if (const auto stored = store_->hashes().at(at)) {
    if (*got != *stored) differ("HashKV of " + std::to_string(at) + " is not the stored compaction hash");
    return;
  }
  const auto wanted = model_.hash(at);
  if (!wanted) return;
  if (*got != mvcc::KeyValueHash{*wanted, model_.compact_revision(), at}) differ("HashKV of revision " + std::to_string(at) + " behind " + std::to_string(model_.compact_revision()));
}

void StoreRun::check_compaction_hashes() {
  for (const mvcc::KeyValueHash& stored : store_->hashes().all()) {
    const auto wanted = compaction_hashes_.find(stored.revision);
    if (wanted == compaction_hashes_.end()) return differ("a compaction hash of " + std::to_string(stored.revision) + " that should not be kept");
    if (stored != wanted->second) return differ("compaction hash of " + std::to_string(stored.revision));
  }
  if (store_->hashes().all().size() != std::min(compaction_hashes_.size(), mvcc::CompactionHashes::kKept) && store_->compaction().idle())
    differ("compaction hashes are missing");
}

void StoreRun::hold(std::uint64_t now) {
  if (held_.size() >= 4) return;
  publish();
  auto reader = mvcc::RangeReader::open(store_->views());
  if (!fine(reader, "reader")) return;
  Operation asked = requests_.read(model_);
  std::string wanted = model_.read(asked, model_.revision(), model_.compact_revision());
  held_.push_back({std::move(*reader), std::move(asked), std::move(wanted), now + random_.below(3'000)});
}

void StoreRun::check_held(std::uint64_t now) {
  std::erase_if(held_, [&](const Held& held) {
    if (held.until > now) return false;
    if (const std::string got = read(held.reader, held.asked); got != held.wanted) differ("a View that was held", got, held.wanted);
    return true;
  });
}

void StoreRun::slice() {
  auto reader = mvcc::RangeReader::open(store_->views());
  if (!fine(reader, "reader")) return;
  if (!sliced_) {
    publish();
    reader = mvcc::RangeReader::open(store_->views());
    Operation asked = requests_.read(model_);
    asked.count_only = false;
    const std::string key = asked.key, end = asked.range_end;
    mvcc::RangeCursor cursor(mvcc::KeyRange::of(key, end), options_of(asked), mvcc::RangeCursor::Hold::kPin);
    const auto started = cursor.start(store_->views(), *reader);
    Answer answer;
    std::string wanted = model_.read(asked, model_.revision(), model_.compact_revision());
    if (!started) {
      answer.number(static_cast<std::int64_t>(error_of(started.error())));
      if (answer.text() != wanted) differ("start of a sliced answer", answer.text(), wanted);
      return;
    }
    for (const std::int64_t n : {std::int64_t{0}, started->current_revision, started->count, std::int64_t{started->more}}) answer.number(n);
    sliced_.emplace(Sliced{std::move(cursor), std::move(wanted), answer.text()});
    return;
  }
  std::vector<mvcc::RangeRow> rows;
  if (!fine(sliced_->cursor.next(*reader, 1 + random_.below(5), 1 << 20, rows), "slice")) return;
  Answer answer;
  // The options are the cursor's own; a row without bytes is one of keys only.
  for (const mvcc::RangeRow& row : rows) write_down(row, row.key_value.empty(), answer);
  sliced_->got += answer.text();
  if (!sliced_->cursor.done()) return;
  if (sliced_->got != sliced_->wanted) differ("a sliced answer", sliced_->got, sliced_->wanted);
  sliced_.reset();
}

void StoreRun::check_everything(bool every_revision) {
  publish();
  const auto reader = mvcc::RangeReader::open(store_->views());
  if (!fine(reader, "reader")) return;
  if (leases_->of != model_.leases()) return differ("leases");
  const std::int64_t oldest = std::max<std::int64_t>(model_.compact_revision(), 1);
  const auto revisions = static_cast<std::uint64_t>(model_.revision() - oldest + 1);
  Operation all{.key = {}, .range_end = std::string(1, '\0')};
  const auto check = [&](std::int64_t revision) {
    all.revision = revision;
    const std::string wanted = model_.read(all, model_.revision(), model_.compact_revision());
    if (const std::string got = read(*reader, all); got != wanted) differ("all keys at " + std::to_string(revision), got, wanted);
  };
  if (every_revision && revisions <= 3'000) {
    for (std::int64_t r = oldest; r <= model_.revision(); ++r) check(r);
  } else {
    for (int i = 0; i < 10; ++i) check(oldest + static_cast<std::int64_t>(random_.below(revisions)));
    check(oldest);
  }
  check(0);
  if (oldest > 1) check(oldest - 1);
  check(model_.revision() + 1);
  check_compaction_hashes();
  if (!store_->compaction().idle() || !failure_.empty()) return;
  // What compaction was to delete is gone, and nothing else.
  std::vector<std::pair<std::int64_t, std::int64_t>> rows;
  backend::RowScan scan(reader->view().buffers, reader->transaction());
  auto there = scan.seek(mvcc::RowKeyBytes({0, 0}, false));
  for (; there && *there; there = scan.next()) {
    const auto row = mvcc::decode_row_key(scan.key());
    if (!fine(row, "row key")) return;
    rows.emplace_back(row->revision.main, row->tombstone ? ~row->revision.sub : row->revision.sub);
  }
  if (fine(there, "scan") && rows != model_.rows()) differ("rows: " + std::to_string(rows.size()) + ", the model has " + std::to_string(model_.rows().size()));
}

void StoreRun::step(std::uint64_t now) {
  const std::uint64_t what = random_.below(1'000);
  if (what < 480) write();
  else if (what < 880) read();
  else if (what < 930) publish();
  else if (what < 960) commit_step();
  else if (what < 975) {
    if (store_->step_compaction(1 + random_.below(300))) publish();
  } else if (what < 985) clock_.advance(milliseconds(random_.below(60)));
  else if (what < 990) slice();
  else if (what < 994) hold(now);
  else if (what < 995) {
    if (random_.one_in(2)) hash();
  } else if (random_.one_in(40)) {
    switch (random_.below(6)) {
      case 0: case 1: crash(); break;
      case 2:
        ++counts_.restarts;
        settle();
        if (powerless()) break;
        close();
        if (failure_.empty()) open();
        if (going()) check_everything(false);
        break;
      case 3: settle(); if (going()) check_everything(true); break;
      default:
        backend_->defragment([this](base::Result<backend::Defragmented> done) {
          if (fine(done, "defragmentation")) ++counts_.defragmentations;
        });
    }
  }
  if (going()) check_held(now);
}

bool StoreRun::run(std::uint64_t operations) {
  if (powerless()) crash();
  for (std::uint64_t n = 0; n < operations && failure_.empty(); ++n) {
    ++counts_.operations;
    step(n);
    if (powerless()) crash();
    if (!failure_.empty()) failure_ = "operation " + std::to_string(n) + ": " + failure_;
  }
  return end_of_run();
}

bool StoreRun::run_script() {
  if (powerless()) crash();
  const auto defragment = [this] {
    backend_->defragment([this](base::Result<backend::Defragmented> done) {
      if (fine(done, "defragmentation")) ++counts_.defragmentations;
    });
  };
  for (std::uint64_t n = 0; n < 110 && failure_.empty(); ++n) {
    ++counts_.operations;
    if (going() && n % 25 == 20) {
      Entry compaction;
      compaction.compaction = true;
      compaction.revision = std::max<std::int64_t>(1, model_.revision() - static_cast<std::int64_t>(random_.below(12)));
      write(std::move(compaction));
    }
    if (going()) write();
    if (going() && n % 3 == 0) publish();
    if (going() && n % 4 == 1) backend_->freeze();
    if (going() && n % 2 == 1) commit_step();
    if (going() && store_->step_compaction(1 + random_.below(30))) publish();
    clock_.advance(milliseconds(7));
    if (going() && n % 40 == 35) defragment();
    if (powerless()) {
      crash();
      if (failure_.empty()) check_everything(true);
    }
    if (!failure_.empty()) failure_ = "step " + std::to_string(n) + ": " + failure_;
  }
  return end_of_run();
}

bool StoreRun::end_of_run() {
  // Twice: the power may go while all is brought to its end.
  for (int i = 0; i < 2 && failure_.empty(); ++i) {
    settle();
    if (powerless()) crash();
  }
  if (failure_.empty()) check_everything(true);
  if (failure_.empty()) hash();
  if (failure_.empty()) crash();
  if (failure_.empty()) check_everything(false);
  return failure_.empty();
}

}  // namespace etcdpp::store_test

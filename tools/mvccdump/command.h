#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include <etcdpp/base/env.h>
#include <etcdpp/base/result.h>

#include "printer.h"
#include "progress.h"
#include "source.h"

namespace etcdpp::mvccdump {

/// How a command ended; the process's exit code.
enum class Exit {
  kFine = 0,
  kDamage = 1,     ///< something in the database is damaged, or was lost
  kCannot = 2,     ///< it could not be read at all, or wrong usage
  kNo = 3,         ///< the answer is no: get found no such key, diff found differences
  kNoVerdict = 4,  ///< the database is being written to, too fast for an answer about all of it
};

/// What the flags say, of all commands.
struct Options {
  std::string path;
  std::string other;  ///< diff's second database, salvage's output
  base::Bytes key;
  base::Bytes prefix;
  std::optional<Bucket> bucket;
  std::int64_t from = 0;
  std::int64_t to = std::numeric_limits<std::int64_t>::max();
  std::optional<base::Bytes> only_key;
  std::int64_t revision = 0;  ///< 0: the current one
  bool full = false;
  bool raw = false;
  bool snapshot = false;
  std::string bbolt;
  std::int64_t depth = 2;
  std::string separator = "/";
  std::int64_t top = 10;
};

/// What a command works with. Rows that are wrong are counted by those who meet them, and make the exit code kDamage.
struct Context {
  base::Env& env;
  Printer& printer;
  Progress& progress;
  const Options& options;
  std::uint64_t bad_checksums = 0;
  std::uint64_t undecodable = 0;

  base::Result<std::unique_ptr<Source>> open(const std::string& path) const { return open_source(env, path); }
  /// For visitors: an error that ends the scan when nobody reads the output any more.
  base::Result<> go_on() const { return printer.out().closed() ? base::Result<>(enough()) : base::Result<>(); }
};

/// Each in the file of its name: buckets_command.cc and so on.
base::Result<Exit> buckets_command(Context& context);
base::Result<Exit> revisions_command(Context& context);
base::Result<Exit> keys_command(Context& context);
base::Result<Exit> get_command(Context& context);
base::Result<Exit> ls_command(Context& context);
base::Result<Exit> history_command(Context& context);
base::Result<Exit> diff_command(Context& context);
base::Result<Exit> leases_command(Context& context);
base::Result<Exit> auth_command(Context& context);
base::Result<Exit> members_command(Context& context);
base::Result<Exit> meta_command(Context& context);
base::Result<Exit> stats_command(Context& context);
base::Result<Exit> hash_command(Context& context);
base::Result<Exit> verify_command(Context& context);
base::Result<Exit> salvage_command(Context& context);
base::Result<Exit> export_command(Context& context);

}  // namespace etcdpp::mvccdump

#pragma once

#include <cstdlib>

#include "command.h"
#include "memory_env.h"

namespace etcdpp::fuzz {

/// Every command of mvccdump on one file: each ends with an answer, and a terminal gets nothing to obey.
inline void run_every_command(const std::uint8_t* data, std::size_t size) {
  namespace dump = mvccdump;
  MemoryEnv env;
  env.put("db", {reinterpret_cast<const char*>(data), size});
  dump::Options options;
  options.path = "db";
  options.key = "a";
  options.revision = size % 3 == 0 ? static_cast<std::int64_t>(size % 70) : 0;
  for (const auto& command :
       {dump::buckets_command, dump::revisions_command, dump::keys_command, dump::get_command, dump::ls_command, dump::history_command,
        dump::diff_command, dump::leases_command, dump::auth_command, dump::members_command, dump::meta_command, dump::stats_command,
        dump::hash_command, dump::verify_command, dump::salvage_command, dump::export_command}) {
    for (const auto format : {dump::Format::kTable, dump::Format::kJson}) {
      options.bbolt = command == dump::export_command && format == dump::Format::kJson ? "out3" : "";
      options.other = command == dump::salvage_command ? (format == dump::Format::kTable ? "out1" : "out2") : "db";
      dump::Output out([](base::BytesView bytes) {
        // A terminal gets nothing to obey.
        for (const char c : bytes)
          if (c != '\n' && (static_cast<unsigned char>(c) < ' ' || c == '\x7f')) std::abort();
        return true;
      });
      dump::Progress progress;
      dump::Printer printer(out, format);
      dump::Context context{env, printer, progress, options};
      static_cast<void>(command(context));
      printer.end_table();
    }
  }
}

}  // namespace etcdpp::fuzz

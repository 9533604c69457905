#pragma once

#include <iosfwd>
#include <string>

#include <etcdserverpb/rpc.pb.h>

#include "failure.h"

namespace etcdpp::ctl {

/// Reads one comparison: `mod("key") > "0"`. Targets: ver(sion), c(reate), m(od), val(ue), lease (hexadecimal);
/// operators: =, !=, <, >.
Outcome<etcdserverpb::Compare> parse_compare(const std::string& line);

/// Reads a transaction in three parts, each ended by an empty line: comparisons, what is done if all hold, and what
/// else. With `prompts`, says which part is next. The lines of the latter two are `put`, `get` and `del` commands.
Outcome<etcdserverpb::TxnRequest> read_txn(std::istream& in, std::ostream* prompts, std::ostream& err);

}  // namespace etcdpp::ctl

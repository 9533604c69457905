#pragma once

#include "log_walker.h"
#include "output.h"

namespace etcdpp::wal {

/// The last line of everything that reads a log to its end: how it ends, and the range of its entries. `shown`: how many of its
/// frames were printed.
void write_verdict(const LogFiles& log, const LogWalker& walker, const Style& style, std::uint64_t shown, Output& out);

}  // namespace etcdpp::wal

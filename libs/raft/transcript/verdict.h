#pragma once

#include <string>
#include <vector>

#include "transcript.h"

namespace etcdpp::raft::transcript {

/// Runs the commands of a transcript in order and says where the output is not what the transcript expects: per command
/// its line and a diff ("-" expected, "+" printed). Empty when all of it is as expected. With `ignore_logs`, lines of the
/// logger count on neither side.
std::string differences(const std::string& name, const std::vector<Block>& blocks, const Script& script, bool ignore_logs);

}  // namespace etcdpp::raft::transcript

#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include <etcdserverpb/rpc.pb.h>

#include "failure.h"
#include "flags.h"

namespace etcdpp::ctl {

/// The end of the range of all keys that begin with `prefix`: the prefix with its last byte that can grow grown, or
/// "\0" (to the end of the key space) if none can.
std::string prefix_end(std::string prefix);

/// The requests that the flags and arguments of `get`, `put` and `del` ask for, on the command line and in a txn.
Outcome<etcdserverpb::RangeRequest> range_request(const Flags& flags);
/// Reads the value from `in` if it is not among the arguments.
Outcome<etcdserverpb::PutRequest> put_request(const Flags& flags, std::istream& in);
/// Waits two seconds, with a warning on `err`, before a range whose end was given without --range.
Outcome<etcdserverpb::DeleteRangeRequest> delete_request(const Flags& flags, std::ostream& err);

}  // namespace etcdpp::ctl

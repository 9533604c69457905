#pragma once

#include <chrono>
#include <iosfwd>
#include <string>
#include <vector>

#include <etcdpp/client/options.h>

#include "failure.h"
#include "flags.h"

namespace etcdpp::ctl {

/// The flags that every command takes.
std::vector<FlagSpec> global_flags();

/// Sets every global flag that was not given from ETCDCTL_<NAME>. Both given is an error; an unknown ETCDCTL_ variable
/// is warned about on `err`.
Outcome<> apply_environment(Flags& flags, char** environment, std::ostream& err);

/// Every global flag as the variable that sets it, a line each: what --debug shows.
std::string settings_text(const Flags& flags);

/// What the flags say about connecting; asks for the password on the terminal if a user has none.
Outcome<client::Options> client_options(const Flags& flags);

}  // namespace etcdpp::ctl

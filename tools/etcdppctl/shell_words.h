#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace etcdpp::ctl {

/// Splits a line of `txn` or `watch -i` into words: "…" with Go's escapes, '…' as it is, anything else up to the next
/// blank. A quote that is never closed is dropped. Nothing if an escape within "…" is not one of Go's.
std::optional<std::vector<std::string>> shell_words(std::string_view line);

}  // namespace etcdpp::ctl

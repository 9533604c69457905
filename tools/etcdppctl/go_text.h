#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

/// Text as Go's standard library writes and reads it, because etcdctl's users parse what it prints.
namespace etcdpp::ctl {

/// A string as %q: double quotes, Go's escapes, bytes that are not UTF-8 as \xNN.
std::string go_quote(std::string_view bytes);

/// Reads one Go string literal ("…" with escapes, or `…`) at the start of `text` and removes it. False if there is
/// none; `text` is then unchanged.
bool take_go_string(std::string_view& text, std::string& out);

/// A string as encoding/json writes it: <, > and & escaped, bytes that are not UTF-8 replaced by \ufffd.
std::string json_quote(std::string_view bytes);

std::string base64(std::string_view bytes);

/// Every byte as \xNN: what --hex prints.
std::string hex_escape(std::string_view bytes);

/// An id as 16 hexadecimal digits, and without leading zeros.
std::string hex16(std::uint64_t id);
std::string hex(std::uint64_t id);

/// "2.646044ms", "1.000446048s", "1m0s".
std::string go_duration(std::chrono::nanoseconds duration);

/// Reads "5s", "1m30s", "250ms"; the error is Go's text.
std::expected<std::chrono::nanoseconds, std::string> parse_duration(std::string_view text);

/// strconv.ParseInt / ParseUint / ParseBool; base 0 takes 0x, 0o and 0b. The error is Go's text.
std::expected<std::int64_t, std::string> parse_int(std::string_view text, int base);
std::expected<std::uint64_t, std::string> parse_uint(std::string_view text, int base);
std::expected<bool, std::string> parse_bool(std::string_view text);

}  // namespace etcdpp::ctl

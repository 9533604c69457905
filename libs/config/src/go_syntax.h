#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace etcdpp::config {

/// How Go's %q prints a text, as far as etcd's messages need it.
std::string quoted(std::string_view text);

std::string_view trimmed(std::string_view text);

/// Go's strconv.ParseBool: 1, t, T, true, TRUE, True and the same for false.
std::optional<bool> parse_go_bool(std::string_view text);

enum class NumberError { kNone, kSyntax, kRange };

/// Go's strconv.ParseInt and ParseUint with base 0: decimal, 0x, 0o, 0b, a leading 0 for octal, '_' between digits.
NumberError parse_go_unsigned(std::string_view text, std::uint64_t& out);
NumberError parse_go_signed(std::string_view text, std::int64_t& out);

}  // namespace etcdpp::config

#include "flags.h"

#include <algorithm>
#include <utility>

#include <etcdpp/base/assert.h>

#include "go_text.h"

namespace etcdpp::ctl {
namespace {

const char* type_name(FlagKind kind) {
  switch (kind) {
    case FlagKind::kBool:
      return "";
    case FlagKind::kInt:
      return " int";
    case FlagKind::kText:
      return " string";
    case FlagKind::kList:
      return " strings";
    case FlagKind::kDuration:
      return " duration";
  }
  return "";
}

std::vector<std::string> split_list(std::string_view value) {
  std::vector<std::string> items;
  while (!value.empty()) {
    const auto comma = value.find(',');
    items.emplace_back(value.substr(0, comma));
    if (comma == std::string_view::npos) break;
    value.remove_prefix(comma + 1);
  }
  return items;
}

std::string joined(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const auto& item : items) out += (out.size() > 1 ? "," : "") + item;
  return out + "]";
}

}  // namespace

Flags::Flags(std::vector<FlagSpec> specs) {
  for (const FlagSpec& spec : specs) {
    flags_.push_back({.spec = spec, .value = spec.default_value, .items = {}});
    if (spec.kind == FlagKind::kList) flags_.back().items = split_list(spec.default_value);
  }
}

const Flags::Flag* Flags::find(std::string_view name) const {
  auto found = std::find_if(flags_.begin(), flags_.end(), [&](const Flag& flag) { return flag.spec.name == name; });
  return found == flags_.end() ? nullptr : &*found;
}

Flags::Flag* Flags::find(std::string_view name) {
  return const_cast<Flag*>(std::as_const(*this).find(name));
}

const Flags::Flag* Flags::find(char shorthand) const {
  auto found = std::find_if(flags_.begin(), flags_.end(),
                            [&](const Flag& flag) { return flag.spec.shorthand && flag.spec.shorthand == shorthand; });
  return found == flags_.end() ? nullptr : &*found;
}

Flags::Flag* Flags::find(char shorthand) {
  return const_cast<Flag*>(std::as_const(*this).find(shorthand));
}

std::expected<void, std::string> Flags::assign(Flag& flag, std::string_view value) {
  std::string why;
  switch (flag.spec.kind) {
    case FlagKind::kBool:
      if (auto parsed = parse_bool(value); !parsed) why = parsed.error();
      break;
    case FlagKind::kInt:
      if (auto parsed = parse_int(value, 0); !parsed) why = parsed.error();
      break;
    case FlagKind::kDuration:
      if (auto parsed = parse_duration(value); !parsed) why = parsed.error();
      break;
    case FlagKind::kText:
    case FlagKind::kList:
      break;
  }
  if (!why.empty()) {
    const std::string shorthand = flag.spec.shorthand ? std::string("-") + flag.spec.shorthand + ", " : "";
    return std::unexpected("invalid argument " + go_quote(value) + " for \"" + shorthand + "--" + flag.spec.name +
                           "\" flag: " + why);
  }
  if (flag.spec.kind == FlagKind::kList) {
    if (!flag.changed) flag.items.clear();
    for (auto& item : split_list(value)) flag.items.push_back(std::move(item));
    flag.value = joined(flag.items);
  } else {
    flag.value = std::string(value);
  }
  flag.changed = true;
  return {};
}

std::expected<void, std::string> Flags::set(std::string_view name, std::string_view value) {
  Flag* flag = find(name);
  ETCDPP_ASSERT(flag != nullptr, "a command sets a flag that it did not declare");
  return assign(*flag, value);
}

std::expected<void, std::string> Flags::parse_long(std::string_view argument, std::span<const std::string>& rest) {
  std::string_view name = argument.substr(2);
  const auto equals = name.find('=');
  if (name.empty() || name[0] == '-' || name[0] == '=')
    return std::unexpected("bad flag syntax: " + std::string(argument));
  const std::string_view bare = name.substr(0, equals);
  Flag* flag = find(bare);
  if (!flag) return std::unexpected("unknown flag: --" + std::string(bare));
  if (equals != std::string_view::npos) return assign(*flag, name.substr(equals + 1));
  if (flag->spec.kind == FlagKind::kBool) return assign(*flag, "true");
  if (rest.empty()) return std::unexpected("flag needs an argument: " + std::string(argument));
  const std::string& value = rest.front();
  rest = rest.subspan(1);
  return assign(*flag, value);
}

std::expected<void, std::string> Flags::parse_short(std::string_view letters, std::span<const std::string>& rest) {
  const std::string whole(letters);
  while (!letters.empty()) {
    const char letter = letters.front();
    letters.remove_prefix(1);
    Flag* flag = find(letter);
    if (!flag) return std::unexpected(std::string("unknown shorthand flag: '") + letter + "' in -" + whole);
    if (!letters.empty() && letters.front() == '=') return assign(*flag, letters.substr(1));
    if (flag->spec.kind == FlagKind::kBool) {
      if (auto done = assign(*flag, "true"); !done) return done;
      continue;
    }
    if (!letters.empty()) return assign(*flag, letters);
    if (rest.empty()) return std::unexpected(std::string("flag needs an argument: '") + letter + "' in -" + whole);
    const std::string& value = rest.front();
    rest = rest.subspan(1);
    return assign(*flag, value);
  }
  return {};
}

std::expected<void, std::string> Flags::parse(std::span<const std::string> rest) {
  while (!rest.empty()) {
    const std::string& argument = rest.front();
    rest = rest.subspan(1);
    if (argument == "--") {
      dash_at_ = arguments_.size();
      arguments_.insert(arguments_.end(), rest.begin(), rest.end());
      return {};
    }
    if (argument.size() < 2 || argument[0] != '-') {
      arguments_.push_back(argument);
      continue;
    }
    auto done =
        argument[1] == '-' ? parse_long(argument, rest) : parse_short(std::string_view(argument).substr(1), rest);
    if (!done) return done;
  }
  return {};
}

bool Flags::takes_next(std::string_view argument) const {
  if (argument.size() < 2 || argument[0] != '-' || argument.find('=') != std::string_view::npos) return false;
  if (argument[1] == '-') {
    const Flag* flag = find(argument.substr(2));
    return flag && flag->spec.kind != FlagKind::kBool;
  }
  for (std::size_t i = 1; i < argument.size(); ++i) {
    const Flag* flag = find(argument[i]);
    if (!flag) return false;
    if (flag->spec.kind != FlagKind::kBool) return i + 1 == argument.size();
  }
  return false;
}

const Flags::Flag& Flags::get(std::string_view name, FlagKind kind) const {
  const Flag* flag = find(name);
  ETCDPP_ASSERT(flag != nullptr && flag->spec.kind == kind, "a command reads a flag that it did not declare");
  return *flag;
}

bool Flags::boolean(std::string_view name) const {
  return parse_bool(get(name, FlagKind::kBool).value).value();
}
std::int64_t Flags::integer(std::string_view name) const {
  return parse_int(get(name, FlagKind::kInt).value, 0).value();
}
const std::string& Flags::text(std::string_view name) const {
  return get(name, FlagKind::kText).value;
}
const std::vector<std::string>& Flags::list(std::string_view name) const {
  return get(name, FlagKind::kList).items;
}
std::chrono::nanoseconds Flags::duration(std::string_view name) const {
  return parse_duration(get(name, FlagKind::kDuration).value).value();
}
bool Flags::changed(std::string_view name) const {
  const Flag* flag = find(name);
  return flag && flag->changed;
}

std::string flag_usage(std::span<const FlagSpec> specs) {
  std::vector<FlagSpec> sorted(specs.begin(), specs.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const FlagSpec& a, const FlagSpec& b) { return std::string_view(a.name) < b.name; });
  std::vector<std::string> names;
  std::size_t width = 0;
  for (const FlagSpec& spec : sorted) {
    std::string name = spec.shorthand ? std::string("  -") + spec.shorthand + ", " : "      ";
    name += std::string("--") + spec.name + type_name(spec.kind);
    width = std::max(width, name.size());
    names.push_back(std::move(name));
  }
  std::string out;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const FlagSpec& spec = sorted[i];
    const std::string_view value = spec.default_value;
    out += names[i] + std::string(width - names[i].size() + 3, ' ') + spec.help;
    if (spec.kind == FlagKind::kText && !value.empty()) out += " (default \"" + std::string(value) + "\")";
    if (spec.kind == FlagKind::kList && !value.empty()) out += " (default [" + std::string(value) + "])";
    if (spec.kind == FlagKind::kBool && value == "true") out += " (default true)";
    if ((spec.kind == FlagKind::kInt || spec.kind == FlagKind::kDuration) && value != "0")
      out += " (default " + std::string(value) + ")";
    out += '\n';
  }
  return out;
}

}  // namespace etcdpp::ctl

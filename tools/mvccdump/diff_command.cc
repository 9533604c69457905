#include "key_rows.h"

namespace etcdpp::mvccdump {

namespace {

std::string state_text(const KeyState& state) {
  return "mod " + std::to_string(state.modified.main) + ", version " + std::to_string(state.version) + ", " + std::to_string(state.value_size) + " bytes";
}

Json state_json(const KeyState& state) {
  return {R"({"create_revision":)" + std::to_string(state.create_revision) + R"(,"mod_revision":)" + std::to_string(state.modified.main) +
          R"(,"version":)" + std::to_string(state.version) + R"(,"lease":")" + base::hex(static_cast<std::uint64_t>(state.lease)) +
          R"(","value_bytes":)" + std::to_string(state.value_size) + "}"};
}

std::string difference(const KeyState& a, const KeyState& b) {
  std::string out;
  const auto add = [&](bool differs, const char* what) {
    if (differs) out += (out.empty() ? "" : ", ") + std::string(what);
  };
  add(a.value_size != b.value_size || a.value_hash != b.value_hash, "value");
  add(a.modified.main != b.modified.main, "mod_revision");
  add(a.create_revision != b.create_revision, "create_revision");
  add(a.version != b.version, "version");
  add(a.lease != b.lease, "lease");
  return out;
}

// Rows of a bucket other than `key`; what any two members differ in is left out.
base::Result<std::map<base::Bytes, base::Bytes>> rows_of(Context& context, Source& source, Bucket bucket) {
  std::map<base::Bytes, base::Bytes> rows;
  ETCDPP_TRY(source.scan(bucket, [&](const Row& row) -> base::Result<> {
    if (!row.intact) ++context.bad_checksums;
    if (bucket == Bucket::kMeta && (row.key == "consistent_index" || row.key == "term")) return {};
    rows.emplace(row.key, row.value);
    return {};
  }));
  return rows;
}

class Diff {
 public:
  explicit Diff(Context& context) : context_(context) {}

  void print(Bucket bucket, base::BytesView key, const std::string& what, Field a, Field b) {
    different_ = true;
    context_.printer.print({{"bucket", Text{std::string(backend::bucket_name(bucket))}}, {"key", Data{base::Bytes(key)}}, {"difference", Text{what}}, std::move(a), std::move(b)});
  }

  void keys(const KeySpace& a, const KeySpace& b) {
    const bool json = context_.printer.format() == Format::kJson;
    const auto side = [&](const char* name, const KeyState* state) {
      if (!state) return Field{name, None{}};
      return json ? Field{name, state_json(*state)} : Field{name, Text{state_text(*state)}};
    };
    auto left = a.keys.begin();
    auto right = b.keys.begin();
    while ((left != a.keys.end() || right != b.keys.end()) && !context_.printer.out().closed()) {
      const bool only_left = right == b.keys.end() || (left != a.keys.end() && left->first < right->first);
      const bool only_right = !only_left && (left == a.keys.end() || right->first < left->first);
      if (only_left) {
        print(Bucket::kKey, left->first, "only in A", side("a", &left->second), side("b", nullptr));
        ++left;
      } else if (only_right) {
        print(Bucket::kKey, right->first, "only in B", side("a", nullptr), side("b", &right->second));
        ++right;
      } else {
        const std::string what = difference(left->second, right->second);
        if (!what.empty()) print(Bucket::kKey, left->first, what, side("a", &left->second), side("b", &right->second));
        ++left;
        ++right;
      }
    }
  }

  base::Result<> others(Source& a, Source& b) {
    for (const Bucket bucket : backend::kBuckets) {
      if (bucket == Bucket::kKey) continue;
      // A password's hash is nobody's to see.
      const auto shown = [&](const char* name, const base::Bytes& value) {
        return bucket == Bucket::kAuthUsers ? Field{name, Text{std::to_string(value.size()) + " bytes"}} : Field{name, Data{value}};
      };
      ETCDPP_ASSIGN(const auto left, rows_of(context_, a, bucket));
      ETCDPP_ASSIGN(const auto right, rows_of(context_, b, bucket));
      for (const auto& [key, value] : left) {
        const auto there = right.find(key);
        if (there == right.end()) {
          print(bucket, key, "only in A", shown("a", value), {"b", None{}});
        } else if (there->second != value) {
          print(bucket, key, "value", shown("a", value), shown("b", there->second));
        }
      }
      for (const auto& [key, value] : right)
        if (!left.contains(key)) print(bucket, key, "only in B", {"a", None{}}, shown("b", value));
    }
    return {};
  }

  bool different() const { return different_; }

 private:
  Context& context_;
  bool different_ = false;
};

}  // namespace

base::Result<Exit> diff_command(Context& context) {
  ETCDPP_ASSIGN(const auto a, context.open(context.options.path));
  ETCDPP_ASSIGN(const auto b, context.open(context.options.other));
  a->show(context.progress, "reading A");
  ETCDPP_ASSIGN(const KeySpace left, key_space_at(context, *a, context.options.revision, context.options.prefix));
  b->show(context.progress, "reading B");
  ETCDPP_ASSIGN(const KeySpace right, key_space_at(context, *b, context.options.revision, context.options.prefix));
  Diff diff(context);
  diff.keys(left, right);
  // Only keys have a past.
  if (context.options.revision == 0 && context.options.prefix.empty()) ETCDPP_TRY(diff.others(*a, *b));
  return diff.different() ? Exit::kNo : Exit::kFine;
}

}  // namespace etcdpp::mvccdump

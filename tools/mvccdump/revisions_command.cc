#include <etcdpp/mvcc/key_value.h>
#include <etcdpp/mvcc/revision.h>

#include "command.h"
#include "key_rows.h"

namespace etcdpp::mvccdump {

base::Result<Exit> revisions_command(Context& context) {
  ETCDPP_ASSIGN(const auto source, context.open(context.options.path));
  source->show(context.progress, "reading revisions");
  const Options& options = context.options;
  ETCDPP_TRY(source->scan(Bucket::kKey, [&](const Row& row) -> base::Result<> {
    const auto at = mvcc::decode_row_key(row.key);
    const auto kv = mvcc::decode_key_value(row.value);
    if (!row.intact) ++context.bad_checksums;
    if (!at || !kv) {
      ++context.undecodable;
      if (context.printer.format() == Format::kJson) {
        context.printer.print({{"undecodable", true}, {"row_hex", Text{base::hex(row.key)}}, {"bytes_hex", Text{base::hex(row.value)}}});
      } else {
        context.printer.print({{"revision", Text{"0x" + base::hex(row.key)}}, {"event", Text{"UNDECODABLE"}}, {"key", Data{base::Bytes(row.value)}},
                               {"create_revision", None{}}, {"mod_revision", None{}}, {"version", None{}}, {"lease", None{}}, {"value", None{}}});
      }
      return context.go_on();
    }
    if (at->revision.main > options.to) return enough();
    if (at->revision.main < options.from || (options.only_key && kv->key != *options.only_key)) return {};
    const bool put = !at->tombstone;
    Record record;
    if (context.printer.format() == Format::kJson) {
      record = {{"main", at->revision.main}, {"sub", at->revision.sub}, {"tombstone", at->tombstone}};
    } else {
      record = {{"revision", Text{revision_text(at->revision)}}, {"event", Text{std::string(put ? "put" : "delete") + (row.intact ? "" : " BAD CHECKSUM")}}};
    }
    record.push_back({"key", Data{base::Bytes(kv->key)}});
    record.push_back(field_if(put, "create_revision", kv->create_revision));
    record.push_back(field_if(put, "mod_revision", kv->mod_revision));
    record.push_back(field_if(put, "version", kv->version));
    record.push_back(field_if(put, "lease", Id{static_cast<std::uint64_t>(kv->lease)}));
    record.push_back(field_if(put, "value", Data{base::Bytes(kv->value)}));
    if (!row.intact && context.printer.format() == Format::kJson) record.push_back({"bad_checksum", true});
    context.printer.print(record);
    return context.go_on();
  }));
  return Exit::kFine;
}

}  // namespace etcdpp::mvccdump

#include "command.h"
#include "row_text.h"

namespace etcdpp::mvccdump {

base::Result<Exit> buckets_command(Context& context) {
  ETCDPP_ASSIGN(const auto source, context.open(context.options.path));
  source->show(context.progress, "reading rows");
  const bool json = context.printer.format() == Format::kJson;
  for (const Bucket bucket : backend::kBuckets) {
    if (context.options.bucket && bucket != *context.options.bucket) continue;
    const std::string name(backend::bucket_name(bucket));
    ETCDPP_TRY(source->scan(bucket, [&](const Row& row) -> base::Result<> {
      if (!row.intact) ++context.bad_checksums;
      if (json) {
        // Rows as they are, for programs.
        Record record{{"bucket", Text{name}}, {"key", Text{base::hex(row.key)}}, {"value", Text{base::hex(row.value)}}};
        if (!row.intact) record.push_back({"bad_checksum", true});
        context.printer.print(record);
        return context.go_on();
      }
      const RowText text = row_text(bucket, row.key, row.value);
      if (!text.decoded) ++context.undecodable;
      context.printer.print({{"bucket", Text{name}},
                             {"key", Text{text.key}},
                             {"value", Text{text.value + (text.decoded ? "" : "  UNDECODABLE") + (row.intact ? "" : "  BAD CHECKSUM")}}});
      return context.go_on();
    }));
  }
  return Exit::kFine;
}

}  // namespace etcdpp::mvccdump

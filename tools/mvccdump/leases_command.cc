#include <leasepb/lease.pb.h>

#include "key_rows.h"

namespace etcdpp::mvccdump {

base::Result<Exit> leases_command(Context& context) {
  ETCDPP_ASSIGN(const auto source, context.open(context.options.path));
  struct Granted {
    std::int64_t ttl = 0;
    std::int64_t remaining_ttl = 0;
    bool known = false;
    std::vector<base::Bytes> keys;
  };
  std::map<std::uint64_t, Granted> leases;
  ETCDPP_TRY(source->scan(Bucket::kLease, [&](const Row& row) -> base::Result<> {
    leasepb::Lease lease;
    if (!row.intact) ++context.bad_checksums;
    if (row.key.size() != 8 || !lease.ParseFromArray(row.value.data(), static_cast<int>(row.value.size()))) {
      ++context.undecodable;
      return {};
    }
    Granted& granted = leases[base::get_be64(row.key.data())];
    granted = {lease.ttl(), lease.remainingttl(), true, {}};
    return {};
  }));
  source->show(context.progress, "reading keys");
  ETCDPP_ASSIGN(const KeySpace space, key_space_at(context, *source, 0, {}));
  // A key may name a lease that is gone: that is shown too, without a TTL.
  for (const auto& [key, state] : space.keys)
    if (state.lease != 0) leases[static_cast<std::uint64_t>(state.lease)].keys.push_back(key);
  for (auto& [id, granted] : leases) {
    Record record{{"id", Id{id}}};
    if (context.printer.format() == Format::kJson) record.push_back({"number", static_cast<std::int64_t>(id)});
    record.push_back({"state", Text{granted.known ? "granted" : "missing"}});
    record.push_back(granted.known ? Field{"ttl", granted.ttl} : Field{"ttl", None{}});
    record.push_back(granted.known && granted.remaining_ttl != 0 ? Field{"remaining_ttl", granted.remaining_ttl} : Field{"remaining_ttl", None{}});
    record.push_back({"key_count", static_cast<std::uint64_t>(granted.keys.size())});
    record.push_back({"keys", DataList{std::move(granted.keys)}});
    context.printer.print(record);
  }
  return Exit::kFine;
}

}  // namespace etcdpp::mvccdump

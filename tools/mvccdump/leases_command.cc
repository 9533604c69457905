#include <leasepb/lease.pb.h>

#include "key_rows.h"
#include "message_parse.h"

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
    if (row.key.size() != 8 || !parse(row.value, lease)) {
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
    const Record record{{"id", Id{id}},
                        {"state", Text{granted.known ? "granted" : "missing"}},
                        field_if(granted.known, "ttl", granted.ttl),
                        field_if(granted.remaining_ttl != 0, "remaining_ttl", granted.remaining_ttl),
                        {"key_count", static_cast<std::uint64_t>(granted.keys.size())},
                        {"keys", DataList{std::move(granted.keys)}}};
    context.printer.print(record);
  }
  return Exit::kFine;
}

}  // namespace etcdpp::mvccdump

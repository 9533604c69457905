#include "key_rows.h"

namespace etcdpp::mvccdump {

base::Result<Exit> ls_command(Context& context) {
  ETCDPP_ASSIGN(const auto source, context.open(context.options.path));
  source->show(context.progress, "reading keys");
  ETCDPP_ASSIGN(const KeySpace space, key_space_at(context, *source, context.options.revision, context.options.prefix));
  for (const auto& [key, state] : space.keys) {
    context.printer.print({{"key", Data{key}},
                           {"create_revision", state.create_revision},
                           {"mod_revision", state.modified.main},
                           {"version", state.version},
                           {"lease", Id{static_cast<std::uint64_t>(state.lease)}},
                           {"value_bytes", state.value_size}});
    if (context.printer.out().closed()) break;
  }
  return Exit::kFine;
}

}  // namespace etcdpp::mvccdump

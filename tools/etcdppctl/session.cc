#include "session.h"

#include <unistd.h>

#include <ostream>

#include "globals.h"

namespace etcdpp::ctl {

Session::Session(Io& streams, std::string program_name, const Found& what, Flags& parsed,
                 std::unique_ptr<Printer> output)
    : io(streams),
      program(std::move(program_name)),
      found(what),
      flags(parsed),
      printer(std::move(output)),
      logger_(streams.err) {}

Outcome<> Session::prepare() {
  if (prepared_) return {};
  if (flags.boolean("debug")) io.err << settings_text(flags);
  auto options = client_options(flags);
  if (!options) return std::unexpected(options.error());
  options_ = std::move(*options);
  options_.logger = &logger_;
  prepared_ = true;
  return {};
}

Outcome<client::Client*> Session::client() {
  if (client_) return client_.get();
  if (auto done = prepare(); !done) return std::unexpected(done.error());
  auto opened = client::Client::open(options_);
  if (!opened) return fail(kBadArgs, client::description(opened.error()));
  client_ = std::move(*opened);
  return client_.get();
}

Outcome<std::unique_ptr<client::Client>> Session::client_of(const std::string& endpoint) {
  if (auto done = prepare(); !done) return std::unexpected(done.error());
  client::Options options = options_;
  options.endpoints = {endpoint};
  auto opened = client::Client::open(std::move(options));
  if (!opened) return fail(kBadArgs, client::description(opened.error()));
  return std::move(*opened);
}

Outcome<std::vector<std::string>> Session::endpoints() {
  if (auto done = prepare(); !done) return std::unexpected(done.error());
  return options_.endpoints;
}

client::CallOptions Session::short_call() const {
  return {.timeout = std::chrono::ceil<std::chrono::milliseconds>(flags.duration("command-timeout"))};
}

std::unexpected<Failure> failed(const base::Error& error) {
  return fail(kError, client::description(error));
}

int run(const std::string& program, const std::vector<std::string>& arguments, Io io) {
  const auto report = [&](const Failure& failure) {
    io.out.flush();
    if (!failure.message.empty()) io.err << "Error: " << failure.message << '\n';
    io.err.flush();
    return failure.exit_code;
  };

  auto found = find_command(program, arguments);
  if (!found) return report({kError, found.error()});
  Flags flags(flags_of(*found));
  if (auto parsed = flags.parse(found->arguments); !parsed) {
    report({kError, parsed.error()});
    io.err << usage_text(program, *found) << '\n';
    return kError;
  }
  if (flags.boolean("help") || !found->command().run) {
    io.out << help_text(program, *found);
    io.out.flush();
    return kSuccess;
  }

  if (found->command().uses_cluster)
    if (auto done = apply_environment(flags, environ, io.err); !done) return report(done.error());
  auto printer = make_printer(flags.text("write-out"),
                              {.out = io.out, .err = io.err, .hex = flags.boolean("hex"), .color = io.terminal});
  if (!printer) return report({kBadFeature, "unsupported output format"});
  Session session(io, program, *found, flags, std::move(printer));
  auto done = found->command().run(session);
  io.out.flush();
  return done ? int{kSuccess} : report(done.error());
}

Outcome<std::vector<std::string>> Session::asked_endpoints() {
  if (!flags.boolean("cluster")) return endpoints();
  auto asked = client();
  if (!asked) return std::unexpected(asked.error());
  etcdserverpb::MemberListRequest request;
  request.set_linearizable(true);
  auto members = (*asked)->member_list(request, short_call());
  if (!members)
    return fail(kError,
                "failed to fetch endpoints from etcd cluster member list: " + client::description(members.error()));
  std::vector<std::string> advertised;
  for (const auto& member : members->members())
    for (const auto& url : member.clienturls()) advertised.push_back(url);
  return advertised;
}

}  // namespace etcdpp::ctl

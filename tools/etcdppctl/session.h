#pragma once

#include <functional>
#include <iosfwd>
#include <memory>
#include <string>

#include <etcdpp/client/client.h>

#include "command.h"
#include "failure.h"
#include "flags.h"
#include "printer.h"
#include "zap_log.h"

namespace etcdpp::ctl {

/// Where a run reads and writes, so that tests can hold it to its output.
struct Io {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool terminal = false;  ///< out is a terminal: colours are welcome
};

/// One run of one command: its flags and arguments, its printer, and the client, opened when first asked for.
class Session {
 public:
  Session(Io& streams, std::string program_name, const Found& what, Flags& parsed, std::unique_ptr<Printer> output);

  Io& io;
  const std::string program;
  const Found& found;
  Flags& flags;
  const std::unique_ptr<Printer> printer;

  const std::vector<std::string>& arguments() const { return flags.arguments(); }

  /// The client of --endpoints.
  Outcome<client::Client*> client();
  /// A client of one endpoint, with the other settings as they are.
  Outcome<std::unique_ptr<client::Client>> client_of(const std::string& endpoint);
  /// --endpoints, without empty ones.
  Outcome<std::vector<std::string>> endpoints();

  /// How calls of short commands are made: within --command-timeout.
  client::CallOptions short_call() const;
  /// The endpoints that a command for each of them asks: those given, or with --cluster those that the members advertise.
  Outcome<std::vector<std::string>> asked_endpoints();

 private:
  Outcome<> prepare();

  ZapLogger logger_;
  bool prepared_ = false;
  client::Options options_;
  std::unique_ptr<client::Client> client_;
};

/// The failure of a call, as etcdctl shows it.
std::unexpected<Failure> failed(const base::Error& error);

/// Reads the command line, runs it and returns the exit code.
int run(const std::string& program, const std::vector<std::string>& arguments, Io io);

}  // namespace etcdpp::ctl

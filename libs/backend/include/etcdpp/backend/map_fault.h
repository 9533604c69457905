#pragma once

#include <string_view>

namespace etcdpp::backend {

/// What becomes of a process whose mapped database cannot be read or makes no sense any more.
///
/// Pages are read where the file is mapped, so a device that fails shows as SIGBUS, and a page that was damaged after it
/// had been verified may lead LMDB anywhere: into SIGSEGV or one of its own assertions. Each of these becomes a stop with
/// a name: file, page and offset as far as they are known, and what to do. Faults that have nothing to do with a database
/// go on to whoever handled them before.
///
/// Installed once by the program, before a database is opened; the library alone changes no signals.
struct MapFaultHandler {
  /// Told of the fault, in the thread that met it, inside a signal handler: the thread holds no lock but may be anywhere in
  /// reading or writing rows, so a logger may be used here. Null, or not back within five seconds: one line on stderr
  /// instead. Then the process ends with `exit_status`.
  void (*tell)(std::string_view what) = nullptr;
  int exit_status = 1;
};

void install_map_fault_handler(const MapFaultHandler& handler = {});

}  // namespace etcdpp::backend

#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "session.h"

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  std::string_view program = argc > 0 ? argv[0] : "etcdppctl";
  if (const auto slash = program.rfind('/'); slash != std::string_view::npos) program.remove_prefix(slash + 1);
  const bool terminal = isatty(STDOUT_FILENO) && !std::getenv("NO_COLOR");
  return etcdpp::ctl::run(std::string(program), std::vector<std::string>(argv + (argc > 0), argv + argc),
                          {.in = std::cin, .out = std::cout, .err = std::cerr, .terminal = terminal});
}

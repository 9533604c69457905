#include <etcdpp/backend/map_fault.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "backend_testing.h"

namespace etcdpp::backend {

namespace {

constexpr int kNamed = 7;

int told = -1;

/// What a child process tells before it ends, and how it ends.
struct End {
  int status = 0;
  std::string said;
};

End in_child(const std::function<void()>& body) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    told = ends[1];
    install_map_fault_handler({.tell =
                                   [](std::string_view what) {
                                     if (::write(told, what.data(), what.size()) < 0) ::_exit(1);
                                   },
                               .exit_status = kNamed});
    body();
    ::_exit(0);
  }
  ::close(ends[1]);
  End end;
  char buffer[512];
  for (ssize_t got; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;) end.said.append(buffer, static_cast<std::size_t>(got));
  ::close(ends[0]);
  REQUIRE(::waitpid(child, &end.status, 0) == child);
  return end;
}

}  // namespace

TEST_CASE("map fault: a page that cannot be read ends the process with file, page and advice") {
  TestDirectory directory;
  {
    auto backend = open_backend(test_options(directory));
    for (std::uint64_t i = 1; i <= 2000; ++i) backend->buffer().append_row(row_key(i), std::string(500, 'v'));
    commit_all(*backend);
  }
  const End end = in_child([&] {
    auto backend = Backend::open(test_options(directory));
    if (!backend || ::truncate(directory.database().c_str(), 5 * 4096) != 0) ::_exit(20);
    const auto rows = (*backend)->scan_key_rows([](base::BytesView, base::BytesView) -> base::Result<> { return {}; });
    ::_exit(rows ? 21 : 22);
  });
  REQUIRE(WIFEXITED(end.status));
  CHECK(WEXITSTATUS(end.status) == kNamed);
  CHECK(end.said.find(directory.database() + ": page ") == 0);
  CHECK(end.said.find("SIGBUS") != std::string::npos);
  CHECK(end.said.find("mvccdump meta " + directory.database()) != std::string::npos);
}

TEST_CASE("map fault: what has nothing to do with a database is nobody's here") {
  TestDirectory directory;
  auto backend = open_backend(test_options(directory));
  const End end = in_child([] {
    // As the system would, had nobody looked; sanitizers have a handler of their own.
    ::raise(SIGSEGV);
  });
  CHECK((WIFSIGNALED(end.status) || WEXITSTATUS(end.status) != kNamed));
  CHECK(end.said.empty());
}

}  // namespace etcdpp::backend

# Every third-party library, by Debian package; nothing is downloaded here.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
find_package(Protobuf REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(Boost 1.74 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(gRPC QUIET)
find_package(doctest REQUIRED)
find_package(benchmark QUIET)
find_package(mimalloc QUIET)

pkg_check_modules(lmdb REQUIRED IMPORTED_TARGET lmdb)
pkg_check_modules(nghttp2 REQUIRED IMPORTED_TARGET libnghttp2)
find_package(yaml-cpp REQUIRED)

file(WRITE "${CMAKE_BINARY_DIR}/doctest_main.cc.in" "#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN\n#include <doctest/doctest.h>\n")
configure_file("${CMAKE_BINARY_DIR}/doctest_main.cc.in" "${CMAKE_BINARY_DIR}/doctest_main.cc" COPYONLY)
add_library(etcdpp_doctest_main STATIC "${CMAKE_BINARY_DIR}/doctest_main.cc")
target_link_libraries(etcdpp_doctest_main PUBLIC doctest::doctest)

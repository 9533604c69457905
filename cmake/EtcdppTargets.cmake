# Functions that make each room's CMakeLists.txt a list of its files.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

option(ETCDPP_WERROR "Warnings are errors" OFF)
option(ETCDPP_UNITY "Compile several files of a room at a time: half of the time, and more to do again after a change" OFF)
option(ETCDPP_FAILPOINTS "Compile the failpoints in" OFF)
set(ETCDPP_SANITIZE "" CACHE STRING "address, undefined, thread (a list for -fsanitize)")

add_library(etcdpp_options INTERFACE)
target_compile_options(etcdpp_options INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -fno-omit-frame-pointer
  $<$<BOOL:${ETCDPP_WERROR}>:-Werror>)
if(ETCDPP_FAILPOINTS)
  target_compile_definitions(etcdpp_options INTERFACE ETCDPP_FAILPOINTS=1)
endif()
if(ETCDPP_SANITIZE)
  add_compile_options(-fsanitize=${ETCDPP_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${ETCDPP_SANITIZE})
endif()

# etcdpp_add_library(<room> SOURCES … DEPS … PRIVATE_DEPS …): target etcdpp_<room>, alias etcdpp::<room>,
# public headers under include/etcdpp/<room>/.
function(etcdpp_add_library room)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(etcdpp_${room} STATIC ${arg_SOURCES})
  add_library(etcdpp::${room} ALIAS etcdpp_${room})
  target_include_directories(etcdpp_${room} PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}/include" PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/src")
  target_link_libraries(etcdpp_${room} PUBLIC ${arg_DEPS} PRIVATE etcdpp_options ${arg_PRIVATE_DEPS})
  set_target_properties(etcdpp_${room} PROPERTIES UNITY_BUILD ${ETCDPP_UNITY} UNITY_BUILD_BATCH_SIZE 8)
endfunction()

# etcdpp_add_test(<name> SOURCES … DEPS … [LABELS …] [TIMEOUT seconds] [ARGS …]): a doctest program, one ctest entry.
function(etcdpp_add_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;DEPS;LABELS;ARGS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE etcdpp_options ${arg_DEPS} etcdpp_doctest_main)
  # Half of a test's compilation is headers, and most of the rest optimizing what runs once.
  set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  # A test may reach into the private sources of its own room.
  if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/src")
    target_include_directories(${name} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/src")
  endif()
  add_test(NAME ${name} COMMAND ${name} ${arg_ARGS} WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
    if(ETCDPP_SANITIZE)
      set(arg_TIMEOUT 1200)
    endif()
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}")
endfunction()

# etcdpp_add_tool(<name> SOURCES … DEPS …): an executable in <build>/bin.
function(etcdpp_add_tool name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE etcdpp_options ${arg_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
endfunction()

// mvccdump on a bbolt file from anywhere: every command ends with an answer.

#include "bolt_mutator.h"
#include "every_command.h"

using namespace etcdpp;

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
  return fuzz::mutate_bolt(data, size, max_size, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::run_every_command(data, size);
  return 0;
}

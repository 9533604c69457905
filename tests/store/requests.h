#pragma once

#include <string>

#include <etcdpp/base/random.h>

#include "model.h"

namespace etcdpp::store_test {

/// What a seed asks for: keys of a shape, requests of a mixture.
class Requests {
 public:
  explicit Requests(base::Random& random);

  Entry entry(const Model& model);
  Operation read(const Model& model);
  std::string key();

 private:
  std::string range_end(const std::string& key);
  Operation put();
  Operation erase();
  Comparison comparison(const Model& model);
  void fill(std::vector<Operation>& branch, const Model& model);

  base::Random& random_;
  const std::uint64_t keys_;
  const std::uint64_t shape_;
  const std::uint64_t longest_value_;
  const std::uint64_t deletes_;
  const std::uint64_t compactions_;
};

}  // namespace etcdpp::store_test

#pragma once

#include <functional>
#include <string>

#include <etcdpp/base/env.h>
#include <etcdpp/base/result.h>

namespace etcdpp::bolt {

/// The 32 bytes behind a saved snapshot: the SHA-256 of the database before them.
enum class Trailer { kAbsent, kRight, kWrong };

/// etcd's rule: there is one when the file's length is 32 more than a multiple of 512. Reads the whole file then;
/// `progress` is told how many bytes have been read.
base::Result<Trailer> check_trailer(base::Env& env, const std::string& path,
                                    const std::function<void(std::uint64_t)>& progress = {});

}  // namespace etcdpp::bolt

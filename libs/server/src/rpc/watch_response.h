#pragma once

#include <functional>
#include <string>

#include <etcdpp/mvcc/watch_hub.h>

#include <etcdserverpb/rpc.pb.h>

namespace etcdpp::server {

/// A delivery as one WatchResponse in wire form, or as several fragments where the client takes them and the whole would be
/// larger than `fragment_limit`. Events are copied as they were encoded once for all watchers.
void encode_watch_responses(const mvcc::WatchDelivery& delivery, const etcdserverpb::ResponseHeader& header,
                            std::size_t fragment_limit, const std::function<void(std::string)>& send);

}  // namespace etcdpp::server

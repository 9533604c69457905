#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <etcdpp/mvcc/watch_hub.h>

namespace etcdpp::server {

/// A delivery as one WatchResponse in wire form. `header` is the response's field 1 (Service::append_header), equal for all
/// watchers of a stream that a revision concerns; events are copied as they were encoded once for all watchers.
std::string encode_watch_response(const mvcc::WatchDelivery& delivery, std::string_view header);

/// The same as several fragments where the whole would be as large as `fragment_limit`: for clients that take them.
void encode_watch_fragments(const mvcc::WatchDelivery& delivery, std::string_view header, std::size_t fragment_limit,
                            const std::function<void(std::string)>& send);

}  // namespace etcdpp::server

#include <etcdserverpb/etcdserver.pb.h>

#include <etcdpp/wal/wal.h>

#include "log_reader.h"

namespace etcdpp::wal {

base::Result<Metadata> read_metadata(base::Env& env, const std::string& directory) {
  ETCDPP_ASSIGN(std::vector<std::string> names, list_segments(env, directory));
  names.resize(1);
  ETCDPP_ASSIGN(const std::vector<OpenSegment> segments, open_segments(env, directory, names, base::OpenMode::kReadOnly));
  LogReader reader(segments);
  // Behind the checksum record, at the head of every segment.
  for (int records = 0; records < 2; ++records) {
    LogReader::Item item;
    ETCDPP_ASSIGN(const bool more, reader.next(item));
    if (!more) break;
    if (item.record.type != static_cast<std::int64_t>(RecordType::kMetadata)) continue;
    etcdserverpb::Metadata metadata;
    if (!metadata.ParseFromArray(item.record.data.data(), static_cast<int>(item.record.data.size())))
      return base::Error(Errc::kBadRecord, "metadata " + reader.position());
    return Metadata{metadata.nodeid(), metadata.clusterid()};
  }
  return base::Error(Errc::kMetadataMissing, directory + "/" + names.front());
}

}  // namespace etcdpp::wal

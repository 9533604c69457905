#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <etcdpp/base/env.h>
#include <etcdpp/base/result.h>
#include <etcdpp/bolt/writer.h>

namespace etcdpp::bolt {

/// Writes a bbolt database into a new file, in one pass.
///
/// Grows under `<path>.part`, and has its name, whole and durable, when finish() returned; destroyed before, it leaves
/// nothing; a crash leaves the `.part`, which the next try takes over. Errors: kExists, the writer's, the system's.
class FileWriter {
 public:
  static base::Result<std::unique_ptr<FileWriter>> create(base::Env& env, const std::string& path,
                                                          std::uint64_t page_size = 4096);
  ~FileWriter();

  Writer& rows() { return writer_; }
  /// `trailer`: appends the SHA-256 of all bytes, as `etcdctl snapshot save` does and `etcdutl snapshot restore` wants it.
  base::Result<Plan> finish(bool trailer = false);

 private:
  FileWriter(base::Env& env, std::string path, std::unique_ptr<base::File> file, std::uint64_t page_size);
  base::Result<> write(base::BytesView bytes);
  base::Result<> flush();

  base::Env& env_;
  const std::string path_;
  std::unique_ptr<base::File> file_;
  base::Bytes gathered_;
  std::uint64_t written_ = 0;
  bool finished_ = false;
  Writer writer_;
};

}  // namespace etcdpp::bolt

#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <etcdpp/backend/database.h>
#include <etcdpp/backend/deletion_source.h>
#include <etcdpp/base/clock.h>

#include "write_transaction.h"

namespace etcdpp::backend {

/// DeletionBatch over a write transaction. Rows are read as the last commit has them (all that compaction deletes is older),
/// marked rows are deleted when the slice is carried out.
class DeletionSlice final : public DeletionBatch {
 public:
  DeletionSlice(WriteTransaction& transaction, const ReadTransaction& committed, const base::Clock& clock, std::size_t rows, base::Instant until)
      : transaction_(transaction), cursor_(committed), clock_(clock), rows_left_(rows), until_(until) {}
  DeletionSlice(const DeletionSlice&) = delete;
  DeletionSlice& operator=(const DeletionSlice&) = delete;

  base::Result<bool> seek(base::BytesView first) override;
  base::Result<bool> next() override;
  base::BytesView key() const override { return cursor_.key(); }
  base::BytesView value() const override { return cursor_.value(); }
  void erase() override;
  void put(Bucket bucket, base::BytesView key, base::BytesView value) override;
  bool exhausted() const override;

  /// Deletes and puts what was marked.
  base::Result<> carry_out();

  struct Marked {
    std::string key;
    std::size_t value_size;
  };
  const std::vector<Marked>& marked() const { return marked_; }

 private:
  struct Put {
    Bucket bucket;
    std::string key;
    std::string value;
  };

  WriteTransaction& transaction_;
  RowCursor cursor_;
  const base::Clock& clock_;
  std::size_t rows_left_;
  mutable unsigned asked_ = 0;
  base::Instant until_;
  std::vector<Marked> marked_;
  std::vector<Put> puts_;
};

}  // namespace etcdpp::backend

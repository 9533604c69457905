#pragma once

#include <lmdb.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <etcdpp/backend/deletion_source.h>
#include <etcdpp/base/clock.h>

#include "write_transaction.h"

namespace etcdpp::backend {

/// DeletionBatch over a write transaction. Marked rows are deleted when the slice is carried out, so that the cursor
/// never moves over a tree that changes under it.
class DeletionSlice final : public DeletionBatch {
 public:
  DeletionSlice(WriteTransaction& transaction, const base::Clock& clock, std::size_t rows, base::Instant until)
      : transaction_(transaction), clock_(clock), rows_left_(rows), until_(until) {}
  DeletionSlice(const DeletionSlice&) = delete;
  DeletionSlice& operator=(const DeletionSlice&) = delete;
  ~DeletionSlice() override;

  base::Result<bool> seek(base::BytesView first) override;
  base::Result<bool> next() override;
  base::BytesView key() const override { return key_; }
  base::BytesView value() const override { return value_; }
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
  base::Result<bool> move(MDB_cursor_op operation, base::BytesView first);

  struct Put {
    Bucket bucket;
    std::string key;
    std::string value;
  };

  WriteTransaction& transaction_;
  const base::Clock& clock_;
  std::size_t rows_left_;
  base::Instant until_;
  MDB_cursor* cursor_ = nullptr;
  base::BytesView key_;
  base::BytesView value_;
  std::vector<Marked> marked_;
  std::vector<Put> puts_;
};

}  // namespace etcdpp::backend

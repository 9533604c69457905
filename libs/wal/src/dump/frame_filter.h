#pragma once

#include <optional>

#include <etcdpp/wal/filter.h>
#include <etcdpp/wal/record.h>

#include "entry_view.h"

namespace etcdpp::wal {

/// A Filter made ready to be asked often.
class FrameFilter {
 public:
  explicit FrameFilter(const Filter& filter);

  bool empty() const { return empty_; }
  bool passes(const Record& record, const std::optional<EntryView>& entry) const;

 private:
  bool passes_type(const Record& record, const std::optional<EntryView>& entry) const;
  bool passes_place(const Record& record, const std::optional<EntryView>& entry) const;
  bool passes_request(const EntryView& entry) const;

  Filter filter_;
  bool empty_ = true;
  bool of_entries_ = false;
};

}  // namespace etcdpp::wal

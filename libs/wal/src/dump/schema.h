#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace etcdpp::wal {

/// What a log's payloads are made of, as tables: names, numbers and kinds of fields for people and filters, which of them
/// are secret, and since which version of etcd they exist. Deliberately not the generated classes: it also reads what
/// they refuse, finds where in the bytes a field lies, nests without a limit of its own and is quick. The generated
/// classes are its oracle in the tests.

/// An etcd minor version as 300, 304, 307.
using EtcdVersion = std::uint16_t;

enum class FieldKind : std::uint8_t { kUnsigned, kSigned, kId, kBool, kBytes, kText, kSecret, kEnum, kMessage };

struct EnumValue {
  int number;
  const char* name;
};

struct MessageType;

struct Field {
  std::uint32_t number;
  const char* name;
  FieldKind kind;
  bool repeated = false;
  /// Absent means something worth showing (a comparison's EQUAL, an alarm's GET).
  bool shown_when_absent = false;
  const MessageType* message = nullptr;
  std::span<const EnumValue> values = {};
  EtcdVersion since = 300;
};

struct MessageType {
  const char* name;
  std::span<const Field> fields;
  EtcdVersion since = 300;

  const Field* find(std::uint32_t number) const;
};

/// A value's name, or nothing when the version of etcd that named it is to come.
std::string_view enum_name(const Field& field, std::int64_t value);

extern const MessageType kMetadataType;
extern const MessageType kHardStateType;
extern const MessageType kSnapshotMarkerType;
extern const MessageType kConfChangeType;
extern const MessageType kConfChangeV2Type;
/// Its members but `header` and `ID` are the kinds of requests.
extern const MessageType kRequestType;

inline constexpr std::uint32_t kRequestIdField = 1;
inline constexpr std::uint32_t kRequestHeaderField = 100;

}  // namespace etcdpp::wal

// Defaults of ThreadSanitizer for programs that use gRPC's C++ library, which comes from the distribution without its
// instrumentation: its locks are not seen, so that what it does by itself would be reported as races. Our own code in the
// same program stays checked. The server has none of it.

extern "C" __attribute__((visibility("default"))) const char* __tsan_default_options() { return "ignore_noninstrumented_modules=1"; }
extern "C" __attribute__((visibility("default"))) const char* __tsan_default_suppressions() { return "race:libgrpc\nrace:libabsl\nrace:grpc::\nrace:grpc_core\n"; }

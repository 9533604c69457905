// Puts against a server that speaks etcd's gRPC, etcdppd or etcd alike: a number of streams over a number of connections,
// each stream sends its next put when the last was answered.
//
//   put_generator --connect 127.0.0.1:2379 --connections 10 --streams 100 --calls 100000 [--value-bytes 256 [--value-bytes-to 30000 --seed 1]]
//                 [--key-prefix bench/] [--first 0] [--read-of 300000] [--update-of 300000]
//
// Keys are the prefix and a number of ten digits, all different. With --read-of the calls are serializable Ranges instead,
// each of one key that a run of that many puts has made, in scattered order; with --update-of they are puts to such keys.
// SIGTERM ends it early, with the figures of what was answered. Prints one line of JSON: calls a second,
// latency from the call to its whole answer in microseconds, and how many calls were answered with anything but status 0.
// Exit code 1 if there was one.
//
// One thread, nghttp2 on epoll: it must cost less than the server that it measures.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using SteadyClock = std::chrono::steady_clock;

volatile std::sig_atomic_t stopped = 0;

struct Options {
  std::string host = "127.0.0.1";
  int port = 2379;
  unsigned connections = 1;
  unsigned streams = 1;
  std::uint64_t calls = 10'000;
  std::size_t value_bytes = 256;
  std::size_t value_bytes_to = 0;  // above value_bytes: sizes between the two, which a key's number and the seed decide
  std::string key_prefix = "bench/";
  std::uint64_t seed = 0;
  std::uint64_t first = 0;
  std::uint64_t read_of = 0;
  std::uint64_t update_of = 0;
};

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "put_generator: %s\n", what.c_str());
  std::exit(2);
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    const std::string value = argv[i + 1];
    const auto number = [&] { return std::strtoull(value.c_str(), nullptr, 10); };
    if (flag == "--connect") {
      const std::size_t colon = value.rfind(':');
      if (colon == std::string::npos) die("--connect needs host:port");
      options.host = value.substr(0, colon);
      options.port = std::atoi(value.c_str() + colon + 1);
    } else if (flag == "--connections") options.connections = static_cast<unsigned>(number());
    else if (flag == "--streams") options.streams = static_cast<unsigned>(number());
    else if (flag == "--calls") options.calls = number();
    else if (flag == "--value-bytes") options.value_bytes = number();
    else if (flag == "--value-bytes-to") options.value_bytes_to = number();
    else if (flag == "--key-prefix") options.key_prefix = value;
    else if (flag == "--seed") options.seed = number();
    else if (flag == "--first") options.first = number();
    else if (flag == "--read-of") options.read_of = number();
    else if (flag == "--update-of") options.update_of = number();
    else die("unknown flag " + std::string(flag));
  }
  if (argc % 2 == 0) die("every flag has a value");
  if (options.connections == 0 || options.streams < options.connections) die("at least one stream per connection");
  return options;
}

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

/// What all connections share: which call is next, and what came of those before.
struct Run {
  const Options& options;
  std::string value;
  std::string authority;
  std::uint64_t next = 0;
  std::uint64_t answered = 0;
  std::uint64_t errors = 0;
  std::string first_error;
  std::vector<std::uint32_t> latencies_ns_64{};  // in units of 64 ns: 274 s at most

  explicit Run(const Options& o)
      : options(o), value(std::max(o.value_bytes, o.value_bytes_to), 'v'), authority(o.host + ":" + std::to_string(o.port)) {
    latencies_ns_64.reserve(o.calls);
  }
  bool exhausted() const { return next == options.calls || stopped; }

  std::string_view path() const { return options.read_of > 0 ? "/etcdserverpb.KV/Range" : "/etcdserverpb.KV/Put"; }

  void next_message(std::string& out) {
    std::uint64_t number = next++;
    // Each key once before any comes again (the factor shares none with counts of 2, 3 and 5), neighbours in time far apart.
    if (const std::uint64_t of = std::max(options.read_of, options.update_of); of > 0) number = number * 7'368'787 % of;
    char digits[24];
    const int length = std::snprintf(digits, sizeof digits, "%010llu", static_cast<unsigned long long>(options.first + number));
    out.assign(5, '\0');
    out.push_back('\x0a');
    append_varint(out, options.key_prefix.size() + static_cast<std::size_t>(length));
    out += options.key_prefix;
    out.append(digits, static_cast<std::size_t>(length));
    if (options.read_of > 0) {
      out += "\x38\x01";  // serializable
    } else {
      out.push_back('\x12');
      std::size_t size = value.size();
      if (options.value_bytes_to > options.value_bytes)
        size = options.value_bytes + (number + options.seed) * 0x9e3779b97f4a7c15ULL % (options.value_bytes_to - options.value_bytes + 1);
      append_varint(out, size);
      out.append(value, 0, size);
    }
    const auto body = static_cast<std::uint32_t>(out.size() - 5);
    for (int i = 0; i < 4; ++i) out[static_cast<std::size_t>(1 + i)] = static_cast<char>(body >> (24 - 8 * i));
  }
};

struct Call {
  std::string message;
  std::size_t sent = 0;
  SteadyClock::time_point begun;
  int grpc_status = -1;
  std::string grpc_message;
};

class Connection {
 public:
  Connection(Run& run, unsigned streams) : run_(run), calls_(streams) {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(run.options.port));
    if (::inet_pton(AF_INET, run.options.host.c_str(), &address.sin_addr) != 1) die("not an IPv4 address: " + run.options.host);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) die("cannot connect to " + run.authority);
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);

    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, &Connection::on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, &Connection::on_close);
    nghttp2_session_client_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
    nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, 1 << 24);
  }
  ~Connection() {
    nghttp2_session_del(session_);
    ::close(fd_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int fd() const { return fd_; }
  void start() {
    for (Call& call : calls_) begin(call);
    write();
  }
  void on_readable() {
    static std::array<std::uint8_t, 256 * 1024> buffer;
    const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) die("the server closed a connection");
    if (got > 0 && nghttp2_session_mem_recv(session_, buffer.data(), static_cast<std::size_t>(got)) < 0) die("the server broke HTTP/2");
    write();
  }

 private:
  void begin(Call& call) {
    if (run_.exhausted()) return;
    run_.next_message(call.message);
    call.sent = 0;
    call.grpc_status = -1;
    call.grpc_message.clear();
    const auto field = [](std::string_view name, std::string_view value) {
      return nghttp2_nv{const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(name.data())),
                        const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(value.data())), name.size(), value.size(),
                        NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
    };
    const nghttp2_nv fields[] = {field(":method", "POST"), field(":scheme", "http"), field(":path", run_.path()),
                                 field(":authority", run_.authority), field("content-type", "application/grpc"),
                                 field("te", "trailers")};
    nghttp2_data_provider provider;
    provider.source.ptr = &call;
    provider.read_callback = &Connection::read_message;
    call.begun = SteadyClock::now();
    if (nghttp2_submit_request(session_, nullptr, fields, std::size(fields), &provider, &call) < 0) die("out of stream ids");
  }

  void write() {
    out_.clear();
    const std::uint8_t* bytes = nullptr;
    for (ssize_t n; (n = nghttp2_session_mem_send(session_, &bytes)) > 0;)
      out_.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(n));
    // The socket blocks: what is on its way is bounded by the streams.
    for (std::size_t sent = 0; sent < out_.size();) {
      const ssize_t n = ::send(fd_, out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) die("a connection broke");
      sent += static_cast<std::size_t>(n);
    }
  }

  static ssize_t read_message(nghttp2_session*, std::int32_t, std::uint8_t* out, std::size_t room, std::uint32_t* flags,
                              nghttp2_data_source* source, void*) {
    Call& call = *static_cast<Call*>(source->ptr);
    const std::size_t n = std::min(room, call.message.size() - call.sent);
    std::memcpy(out, call.message.data() + call.sent, n);
    call.sent += n;
    if (call.sent == call.message.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(n);
  }

  static int on_header(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                       const std::uint8_t* value, std::size_t value_size, std::uint8_t, void*) {
    const std::string_view field(reinterpret_cast<const char*>(name), name_size);
    const std::string_view text(reinterpret_cast<const char*>(value), value_size);
    auto* call = static_cast<Call*>(nghttp2_session_get_stream_user_data(session, frame->hd.stream_id));
    if (call == nullptr) return 0;
    if (field == "grpc-status") call->grpc_status = std::atoi(std::string(text).c_str());
    else if (field == "grpc-message") call->grpc_message = text;
    return 0;
  }

  static int on_close(nghttp2_session* session, std::int32_t stream, std::uint32_t error, void* user) {
    auto& self = *static_cast<Connection*>(user);
    auto& call = *static_cast<Call*>(nghttp2_session_get_stream_user_data(session, stream));
    const auto took = std::chrono::duration_cast<std::chrono::nanoseconds>(SteadyClock::now() - call.begun).count();
    self.run_.latencies_ns_64.push_back(static_cast<std::uint32_t>(took / 64));
    ++self.run_.answered;
    if (call.grpc_status != 0 && self.run_.errors++ == 0)
      self.run_.first_error = "grpc-status " + std::to_string(call.grpc_status) + ", HTTP/2 error " + std::to_string(error) + ": " + call.grpc_message;
    self.begin(call);
    return 0;
  }

  Run& run_;
  std::vector<Call> calls_;
  int fd_ = -1;
  nghttp2_session* session_ = nullptr;
  std::string out_;
};

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  Run run(options);
  const int epoll = ::epoll_create1(0);
  std::vector<std::unique_ptr<Connection>> connections;
  for (unsigned i = 0; i < options.connections; ++i) {
    const unsigned streams = options.streams / options.connections + (i < options.streams % options.connections ? 1 : 0);
    connections.push_back(std::make_unique<Connection>(run, streams));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = connections.back().get();
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, connections.back()->fd(), &event);
  }
  const auto begun = SteadyClock::now();
  for (auto& connection : connections) connection->start();
  std::array<epoll_event, 64> events;
  std::signal(SIGTERM, [](int) { stopped = 1; });
  while (run.answered < (stopped ? run.next : options.calls)) {
    const int ready = ::epoll_wait(epoll, events.data(), events.size(), 30'000);
    if (ready == 0) die("no answer for 30 s");
    for (int i = 0; i < ready; ++i) static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr)->on_readable();
  }
  const double seconds = std::chrono::duration<double>(SteadyClock::now() - begun).count();
  ::close(epoll);

  std::sort(run.latencies_ns_64.begin(), run.latencies_ns_64.end());
  const auto quantile = [&](double q) {
    const auto at = static_cast<std::size_t>(q * static_cast<double>(run.latencies_ns_64.size() - 1));
    return run.latencies_ns_64.empty() ? 0.0 : run.latencies_ns_64[at] * 64e-3;
  };
  std::printf("{\"calls\": %llu, \"seconds\": %.4f, \"calls_per_second\": %.0f, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, "
              "\"max_us\": %.1f, \"errors\": %llu, \"generator_cpu_us_per_call\": %.2f}\n",
              static_cast<unsigned long long>(run.answered), seconds, static_cast<double>(run.answered) / seconds, quantile(0.5),
              quantile(0.9), quantile(0.99), quantile(1), static_cast<unsigned long long>(run.errors),
              cpu_seconds() * 1e6 / static_cast<double>(std::max<std::uint64_t>(run.answered, 1)));
  if (run.errors > 0) std::fprintf(stderr, "put_generator: first error: %s\n", run.first_error.c_str());
  return run.errors == 0 ? 0 : 1;
}

#include "http1_session.h"

#include <algorithm>
#include <cstdio>

#include "percent.h"

namespace etcdpp::net {
namespace {

/// "/health?x=1", or with the authority in front as a proxy sends it.
bool split_target(HttpRequest& request) {
  std::string_view target = request.target;
  if (target.starts_with("http://") || target.starts_with("https://")) {
    const std::size_t slash = target.find('/', target.find("://") + 3);
    target = slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
  }
  const std::size_t question = std::min(target.find('?'), target.size());
  request.query = question < target.size() ? target.substr(question + 1) : std::string_view();
  return percent_decode(target.substr(0, question), false, request.path);
}

}  // namespace

/// The exchange that handlers hold; outlives the session if they hold it longer.
class Http1Exchange final : public HttpExchange {
 public:
  Http1Exchange(Http1Session& session, ThreadState& thread, HttpRequest request)
      : session_(&session), thread_(thread), request_(std::move(request)) {}

  ~Http1Exchange() override {
    if (session_ != nullptr && !begun_) respond(HttpResponse::text(500, "Internal Server Error\n"));
    if (session_ != nullptr) end();
  }

  const HttpRequest& request() const override { return request_; }
  Executor& executor() const override { return thread_.io(); }
  bool closed() const override { return session_ == nullptr; }

  void respond(HttpResponse response) override {
    if (session_ == nullptr || begun_) return;
    begun_ = true;
    const bool bodyless = response.status / 100 == 1 || response.status == 204 || response.status == 304;
    session_->write_head(response.status, response.headers, bodyless ? "" : "Content-Length: " + std::to_string(response.body.size()) + "\r\n");
    if (!session_->head_only_ && !bodyless) session_->out_.append(response.body);
    complete();
  }

  void begin(unsigned status, std::vector<std::pair<std::string, std::string>> headers) override {
    if (session_ == nullptr || begun_) return;
    begun_ = true;
    // HTTP/1.0 knows no chunks: there the end of the connection is the end of the body.
    chunked_ = !session_->http_1_0_;
    if (!chunked_) session_->keep_alive_ = false;
    session_->write_head(status, headers, chunked_ ? "Transfer-Encoding: chunked\r\n" : "");
  }

  void write(std::string_view bytes) override {
    if (session_ == nullptr || !begun_ || bytes.empty() || session_->head_only_) return;
    if (chunked_) {
      char size[24];
      session_->out_.append(size, static_cast<std::size_t>(std::snprintf(size, sizeof size, "%zx\r\n", bytes.size())));
    }
    session_->out_.append(bytes);
    if (chunked_) session_->out_.append("\r\n");
    above_low_water_ = session_->pending() > low_water_;
    session_->host_.mark_dirty();
  }

  void end() override {
    if (session_ == nullptr || !begun_) return;
    if (chunked_ && !session_->head_only_) session_->out_.append("0\r\n\r\n");
    complete();
  }

  std::size_t pending_send_bytes() const override { return session_ == nullptr ? 0 : session_->pending(); }
  void set_on_writable(std::size_t low_water, std::move_only_function<void()> callback) override {
    low_water_ = low_water;
    above_low_water_ = pending_send_bytes() > low_water;
    on_writable_ = std::move(callback);
  }
  void set_on_closed(std::move_only_function<void()> callback) override { on_closed_ = std::move(callback); }

  // For the session.

  void disconnect() {
    session_ = nullptr;
    if (auto callback = std::exchange(on_closed_, nullptr)) callback();
  }
  /// The client has stopped sending: for a streamed answer that is the end, a whole one is still sent.
  bool streaming() const { return begun_; }
  void check_writable() {
    if (!on_writable_ || !above_low_water_ || pending_send_bytes() > low_water_) return;
    above_low_water_ = false;
    auto callback = std::move(on_writable_);
    on_writable_ = nullptr;
    callback();
    if (!on_writable_) on_writable_ = std::move(callback);
  }

 private:
  void complete() {
    Http1Session* session = std::exchange(session_, nullptr);
    session->answered();
  }

  Http1Session* session_;  // null when answered or disconnected
  ThreadState& thread_;
  const HttpRequest request_;
  bool begun_ = false;
  bool chunked_ = false;
  std::size_t low_water_ = 0;
  bool above_low_water_ = false;
  std::move_only_function<void()> on_writable_;
  std::move_only_function<void()> on_closed_;
};

Http1Session::Http1Session(SessionHost& host, ThreadState& thread, const HttpServer& server, const Limits& limits)
    : host_(host), thread_(thread), server_(server), limits_(limits),
      parser_(std::make_unique<Http1Parser>(limits.max_http1_header, limits.max_http1_body)), waiting_since_(host.now()) {
  host_.check_at(waiting_since_ + limits.header_timeout);
}

Http1Session::~Http1Session() { abort(CancelReason::kDisconnected); }

bool Http1Session::wants_read() const {
  return !closing_ && !input_ended_ && (exchange_ == nullptr || in_.size() < limits_.max_http1_header);
}

void Http1Session::on_read(std::string_view bytes) {
  if (closing_) return;
  in_.append(bytes);
  parse();
}

void Http1Session::on_eof() {
  input_ended_ = true;
  if (exchange_ == nullptr || exchange_->streaming()) {
    closing_ = true;
    if (exchange_ != nullptr) std::exchange(exchange_, nullptr)->disconnect();
  }
  keep_alive_ = false;
}

void Http1Session::parse() {
  if (std::exchange(parsing_, true)) return;
  std::size_t at = 0;
  while (exchange_ == nullptr && !closing_) {
    // RFC 9112, 2.2: empty lines before a request are forgiven.
    while (!parser_->begun() && at < in_.size() && (in_[at] == '\r' || in_[at] == '\n')) ++at;
    if (at == in_.size()) break;
    std::size_t used = 0;
    const auto outcome = parser_->parse(std::string_view(in_).substr(at), used);
    at += used;
    if (outcome == Http1Parser::Outcome::kRefused) {
      refuse(parser_->refusal_status(), parser_->refusal_reason());
      break;
    }
    if (outcome == Http1Parser::Outcome::kMore) {
      if (parser_->expects_continue() && !std::exchange(continued_, true)) {
        out_.append("HTTP/1.1 100 Continue\r\n\r\n");
        host_.mark_dirty();
      }
      break;
    }
    keep_alive_ = parser_->keep_alive() && !draining_ && !input_ended_;
    http_1_0_ = parser_->http_1_0();
    HttpRequest request = parser_->take();
    request.peer = host_.peer();
    head_only_ = request.method == "HEAD";
    parser_ = std::make_unique<Http1Parser>(limits_.max_http1_header, limits_.max_http1_body);
    continued_ = false;
    if (!split_target(request)) {
      refuse(400, {});
      break;
    }
    HttpExchangePtr exchange(new Http1Exchange(*this, thread_, std::move(request)));
    exchange_ = static_cast<Http1Exchange*>(exchange.get());
    const HttpHandler& handler = server_.find(exchange->request().path);
    handler(std::move(exchange));
  }
  in_.erase(0, at);
  if (in_.empty() && in_.capacity() > 16 * 1024) std::string().swap(in_);
  parsing_ = false;
}

void Http1Session::refuse(unsigned status, std::string_view reason) {
  const std::string line = std::to_string(status) + " " + std::string(http_reason(status)) + std::string(reason);
  out_.append("HTTP/1.1 " + line + "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n" + line);
  closing_ = true;
  host_.mark_dirty();
}

void Http1Session::write_head(unsigned status, const std::vector<std::pair<std::string, std::string>>& headers,
                              std::string_view length_header) {
  out_.append(http_1_0_ ? "HTTP/1.0 " : "HTTP/1.1 ").append(std::to_string(status)).append(" ").append(http_reason(status)).append("\r\n");
  for (const auto* group : {&server_.common_headers(), &headers}) {
    for (const auto& [name, value] : *group) out_.append(name).append(": ").append(value).append("\r\n");
  }
  out_.append("Date: ").append(thread_.http_date()).append("\r\n").append(length_header);
  if (!keep_alive_) {
    out_.append("Connection: close\r\n");
  } else if (http_1_0_) {
    out_.append("Connection: keep-alive\r\n");
  }
  out_.append("\r\n");
  host_.mark_dirty();
}

void Http1Session::answered() {
  exchange_ = nullptr;
  waiting_since_ = host_.now();
  host_.mark_dirty();
  if (!keep_alive_) {
    closing_ = true;
    return;
  }
  host_.check_at(waiting_since_ + limits_.idle_http1_timeout);
  parse();
}

void Http1Session::fill(OutBuffer& out) {
  const std::size_t n = std::min(pending(), limits_.connection_send_buffer);
  out.append(std::string_view(out_).substr(out_sent_, n));
  out_sent_ += n;
  if (out_sent_ == out_.size()) {
    out_.clear();
    out_sent_ = 0;
    if (out_.capacity() > 64 * 1024) std::string().swap(out_);
  }
}

void Http1Session::after_fill() {
  if (exchange_ != nullptr) exchange_->check_writable();
}

void Http1Session::drain() {
  draining_ = true;
  keep_alive_ = false;
  if (exchange_ == nullptr && !parser_->begun()) closing_ = true;
}

void Http1Session::abort(CancelReason reason) {
  closing_ = true;
  if (reason != CancelReason::kShutdown) {
    out_.clear();
    out_sent_ = 0;
  }
  if (std::exchange(aborted_, true)) return;
  if (exchange_ != nullptr) std::exchange(exchange_, nullptr)->disconnect();
}

std::optional<base::Instant> Http1Session::check_time(base::Instant at) {
  if (closing_ || exchange_ != nullptr) return std::nullopt;
  const base::Instant due = waiting_since_ + (parser_->begun() ? limits_.header_timeout : limits_.idle_http1_timeout);
  if (due > at) return due;
  closing_ = true;
  return std::nullopt;
}

}  // namespace etcdpp::net

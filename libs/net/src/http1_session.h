#pragma once

#include <memory>
#include <string>

#include <etcdpp/net/http1.h>
#include <etcdpp/net/limits.h>

#include "http1_parser.h"
#include "session.h"
#include "thread_state.h"

namespace etcdpp::net {

class Http1Exchange;

/// The server's end of one HTTP/1.x connection: one request at a time, in order; what a client sends ahead waits, up to
/// the size of a header, and then in its own socket.
class Http1Session final : public Session {
 public:
  Http1Session(SessionHost& host, ThreadState& thread, const HttpServer& server, const Limits& limits);
  ~Http1Session() override;

  void on_read(std::string_view bytes) override;
  void on_eof() override;
  void fill(OutBuffer& out) override;
  void after_fill() override;
  bool wants_read() const override;
  bool over() const override { return closing_ && out_.size() == out_sent_; }
  void drain() override;
  void abort(CancelReason reason) override;
  std::optional<base::Instant> check_time(base::Instant now) override;

 private:
  friend class Http1Exchange;

  void parse();
  void refuse(unsigned status, std::string_view reason);
  void write_head(unsigned status, const std::vector<std::pair<std::string, std::string>>& headers, std::string_view length_header);
  /// The current answer is complete.
  void answered();
  std::size_t pending() const { return out_.size() - out_sent_; }

  SessionHost& host_;
  ThreadState& thread_;
  const HttpServer& server_;
  const Limits& limits_;
  std::unique_ptr<Http1Parser> parser_;
  std::string in_;
  std::string out_;
  std::size_t out_sent_ = 0;
  Http1Exchange* exchange_ = nullptr;  // being answered
  base::Instant waiting_since_;        // for the next request, or the rest of it
  bool head_only_ = false;             // of the current request: HEAD
  bool http_1_0_ = false;
  bool keep_alive_ = true;
  bool continued_ = false;
  bool parsing_ = false;
  bool input_ended_ = false;
  bool closing_ = false;
  bool draining_ = false;
  bool aborted_ = false;
};

}  // namespace etcdpp::net

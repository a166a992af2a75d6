// The one file that includes httplib.h. Of cpp-httplib it uses the parser of requests, the writer of answers and the accept
// loop; routes by regular expression, which run on the stack of a hostile path, and its own socket stream, whose timeouts
// are per byte, it does not.
#include "server/http/http_endpoint.h"

#include <httplib.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/artifacts/unique_fd.h"
#include "server/http/host_names.h"

namespace qatgap::server {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kThreads = 32;
constexpr std::size_t kWaitingConnections = 64;
constexpr int kRequestsAConnection = 1000;
constexpr seconds kIdleTime{15};         // of a connection between two requests
constexpr seconds kRequestTime{10};      // from a request's first byte to its last
constexpr seconds kStalledTime{30};      // of an answer that the client does not read
constexpr seconds kAnswerTime{600};      // for a whole answer

// A page that could only ever run and reach what came from here, and that no other page may frame.
constexpr char kContentSecurityPolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

// A connection whose reads and writes end at a point in time, or when the server stops.
class Connection final : public httplib::Stream {
 public:
  Connection(int socket, int stopping) : socket_(socket), stopping_(stopping) {}

  // Waits for the first byte of a request; false when there comes none.
  bool AwaitRequest() {
    answering_ = false;
    deadline_ = Clock::now() + kIdleTime;
    if (begin_ == end_ && !Fill()) return false;
    deadline_ = Clock::now() + kRequestTime;
    return true;
  }

  bool is_readable() const override { return begin_ < end_ || Ready(POLLIN, deadline_); }
  bool is_writable() const override { return Ready(POLLOUT, Clock::now() + kStalledTime); }

  ssize_t read(char* data, std::size_t size) override {
    if (begin_ == end_ && !Fill()) return -1;
    const std::size_t count = std::min(size, end_ - begin_);
    std::copy_n(buffer_.data() + begin_, count, data);
    begin_ += count;
    return static_cast<ssize_t>(count);
  }

  ssize_t write(const char* data, std::size_t size) override {
    if (!answering_) deadline_ = Clock::now() + kAnswerTime;
    answering_ = true;
    if (!Ready(POLLOUT, std::min(deadline_, Clock::now() + kStalledTime))) return -1;
    return ::send(socket_, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  void get_remote_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}
  void get_local_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}
  socket_t socket() const override { return socket_; }

 private:
  bool Fill() {
    if (!Ready(POLLIN, deadline_)) return false;
    const ssize_t got = ::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    begin_ = 0;
    end_ = got > 0 ? static_cast<std::size_t>(got) : 0;
    return got > 0;
  }

  bool Ready(short events, Clock::time_point until) const {
    std::array<pollfd, 2> polled = {{{socket_, events, 0}, {stopping_, POLLIN, 0}}};
    while (true) {
      const auto left = std::chrono::duration_cast<milliseconds>(until - Clock::now()).count();
      const int ready = ::poll(polled.data(), polled.size(), static_cast<int>(std::max<std::int64_t>(left, 0)));
      if (ready < 0 && errno == EINTR) continue;
      return ready > 0 && polled[1].revents == 0 && (polled[0].revents & events) != 0;
    }
  }

  const int socket_;
  const int stopping_;  // readable when the server stops
  bool answering_ = false;
  Clock::time_point deadline_;
  std::array<char, 8192> buffer_{};
  std::size_t begin_ = 0, end_ = 0;
};

// Connections beyond the waiting ones are turned away on the thread that accepts.
class Threads final : public httplib::TaskQueue {
 public:
  Threads() {
    for (std::size_t i = 0; i < kThreads; ++i) threads_.emplace_back([this] { Work(); });
  }

  static bool TurnsAway() { return turns_away_; }

  void enqueue(std::function<void()> task) override {
    {
      const std::scoped_lock lock(mutex_);
      if (tasks_.size() < kWaitingConnections) {
        tasks_.push_back(std::move(task));
        wake_.notify_one();
        return;
      }
    }
    turns_away_ = true;
    task();
    turns_away_ = false;
  }

  void shutdown() override {
    {
      const std::scoped_lock lock(mutex_);
      ended_ = true;
      wake_.notify_all();
    }
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  void Work() {
    while (true) {
      std::function<void()> task;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return ended_ || !tasks_.empty(); });
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      task();
    }
  }

  static thread_local bool turns_away_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  bool ended_ = false;
  std::vector<std::thread> threads_;
};
thread_local bool Threads::turns_away_ = false;

void Set(const HttpAnswer& answer, httplib::Response& response) {
  response.status = answer.status;
  response.set_header("Cache-Control", answer.etag.empty() ? "no-store" : "no-cache");
  if (!answer.etag.empty()) response.set_header("ETag", answer.etag);
  if (!answer.file_name.empty()) {
    response.set_header("Content-Disposition", "attachment; filename=\"" + answer.file_name + "\"");
  }
  if (answer.status == 304) return;
  response.set_header("Content-Type", answer.content_type);
  response.body = answer.body;
}

// Routes and limits on top of cpp-httplib's parser.
class Listener final : public httplib::Server {
 public:
  Listener(std::vector<std::string> names, HttpHandler handler)
      : names_(std::move(names)), handler_(std::move(handler)), stopping_(::eventfd(0, EFD_CLOEXEC)) {
    new_task_queue = [] { return new Threads; };
    // Without SO_REUSEPORT: two servers on one port would each get some of the clients.
    set_socket_options([](socket_t socket) {
      const int on = 1;
      ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    });
    set_default_headers({{"Content-Security-Policy", kContentSecurityPolicy},
                         {"X-Content-Type-Options", "nosniff"},
                         {"X-Frame-Options", "DENY"},
                         {"Referrer-Policy", "no-referrer"},
                         {"Cross-Origin-Resource-Policy", "same-origin"},
                         {"Cross-Origin-Opener-Policy", "same-origin"}});
    set_keep_alive_max_count(kRequestsAConnection);  // these two: only for the header that tells them
    set_keep_alive_timeout(kIdleTime.count());
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      Set(Answer(request), response);
      if (response.status == 405) response.set_header("Allow", "GET, HEAD");
      return HandlerResponse::Handled;
    });
    // What does not get as far as the handler above: a request that cannot be parsed.
    set_error_handler([](const httplib::Request&, httplib::Response& response) {
      if (!response.body.empty()) return;
      const int status = response.status;
      Set(ErrorAnswer(status, "INVALID_ARGUMENT", "the request is malformed or too long"), response);
    });
  }

  void EndConnections() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(stopping_.get(), &one, sizeof one);
  }

 private:
  bool process_and_close_socket(socket_t socket) override {
    Connection connection(socket, stopping_.get());
    bool closed = Threads::TurnsAway();
    for (int left = kRequestsAConnection; !closed && left > 0 && connection.AwaitRequest(); --left) {
      bool parsed = false;
      const bool served = process_request(connection, left == 1, closed, [&](httplib::Request& request) {
        parsed = true;
        // Answers are whole and as they are: the client is near, and brotli at its best quality is slow.
        request.ranges.clear();
        request.headers.erase("Accept-Encoding");
        request.headers.erase("Expect");  // no body is waited for
        // A body is not read, so nothing can be read behind it either.
        if (request.method == "GET" || request.method == "HEAD") {
          if (!request.has_header("Content-Length") && !request.has_header("Transfer-Encoding")) return;
        }
        request.set_header("Connection", "close");
        closed = true;
      });
      // Behind what could not be parsed nobody knows where the next request starts.
      closed = closed || !served || !parsed;
    }
    ::shutdown(socket, SHUT_RDWR);
    ::close(socket);
    return true;
  }

  HttpAnswer Answer(const httplib::Request& request) const {
    if (request.get_header_value_count("Host") != 1 || !IsOurHost(request.get_header_value("Host"), names_)) {
      return ErrorAnswer(403, "PERMISSION_DENIED",
                         "the Host header is missing or names another host; use an IP address or localhost, or start "
                         "qatgapd with --http-host NAME");
    }
    if (request.method != "GET" && request.method != "HEAD") {
      return ErrorAnswer(405, "UNIMPLEMENTED", "this page only reads: the methods are GET and HEAD");
    }
    HttpRequest asked{.path = request.path, .query = {}, .if_none_match = request.get_header_value("If-None-Match")};
    for (const auto& [name, value] : request.params) asked.query.emplace(name, value);
    try {
      return handler_(asked);
    } catch (const std::exception& error) {
      return ErrorAnswer(absl::InternalError(absl::StrCat("the server failed: ", error.what())));
    }
  }

  const std::vector<std::string> names_;
  const HttpHandler handler_;
  const UniqueFd stopping_;
};

class Endpoint final : public HttpEndpoint {
 public:
  Endpoint(std::unique_ptr<Listener> listener, std::string address)
      : listener_(std::move(listener)), address_(std::move(address)), thread_([this] {
          listener_->listen_after_bind();
          ended_ = true;
        }) {}

  ~Endpoint() override {
    // stop() before the loop runs would have no effect.
    while (!listener_->is_running() && !ended_) std::this_thread::yield();
    listener_->EndConnections();
    listener_->stop();
    thread_.join();
  }

  const std::string& address() const override { return address_; }

 private:
  std::unique_ptr<Listener> listener_;
  std::string address_;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpEndpoint>> HttpEndpoint::Start(const HttpOptions& options, HttpHandler handler) {
  std::vector<std::string> names = options.names;
  names.push_back(options.host);
  auto listener = std::make_unique<Listener>(std::move(names), std::move(handler));
  std::string host = options.host;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  int port = options.port;
  const bool bound = port == 0 ? (port = listener->bind_to_any_port(host)) > 0 : listener->bind_to_port(host, port);
  if (!bound) {
    return absl::UnavailableError(absl::StrCat("--http-listen: cannot listen on '", options.host, ":", options.port,
                                               "'; is another qatgapd using it? Name another port, 0 for a free one, or "
                                               "pass --no-http"));
  }
  return std::make_unique<Endpoint>(std::move(listener), absl::StrCat(options.host, ":", port));
}

}  // namespace qatgap::server

// The endpoint over the wire, in front of a handler that repeats what it is asked.
#include "server/http/http_endpoint.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/http/raw_http.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::server {
namespace {

using qatgap::testing::StatusIs;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class HttpEndpointTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = HttpEndpoint::Start({.names = {"lab.example"}}, [](const HttpRequest& request) -> HttpAnswer {
      if (request.path == "/throws") throw std::runtime_error("a broken handler");
      if (request.path == "/large") return {.body = std::string(3'000'000, 'x')};
      if (request.path == "/kept") {
        return request.if_none_match == "\"tag\"" ? HttpAnswer{.status = 304, .etag = "\"tag\""}
                                                  : HttpAnswer{.content_type = "text/html", .body = "kept", .etag = "\"tag\""};
      }
      if (request.path == "/file") return {.body = "bytes", .file_name = "a.csv"};
      std::string text = request.path;
      for (const auto& [name, value] : request.query) text += "|" + name + "=" + value;
      return {.body = text};
    });
    ASSERT_TRUE(started.ok()) << started.status();
    endpoint = *std::move(started);
  }
  std::string Ask(const std::string& bytes) const { return Exchange(endpoint->address(), bytes); }
  // Whatever came before, the next request is answered.
  void ExpectAlive() const { EXPECT_THAT(Ask(Request("GET /alive")), EndsWith("\r\n\r\n/alive")); }

  std::unique_ptr<HttpEndpoint> endpoint;
};

TEST_F(HttpEndpointTest, EveryAnswerHasTheHeadersThatProtectThePage) {
  for (const std::string& request : {Request("GET /"), Request("GET /throws"), Request("POST /"), std::string("nonsense\r\n\r\n"),
                                     std::string("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")}) {
    EXPECT_THAT(Ask(request),
                AllOf(HasSubstr("\r\nContent-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
                                "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
                                "frame-ancestors 'none'\r\n"),
                      HasSubstr("\r\nX-Content-Type-Options: nosniff\r\n"), HasSubstr("\r\nReferrer-Policy: no-referrer\r\n"),
                      HasSubstr("\r\nCache-Control: no-store\r\n")))
        << request;
  }
}

TEST_F(HttpEndpointTest, PathAndQueryAreDecoded) {
  const std::string answer = Ask(Request("GET /a%20b/%3Cimg%3E?x=1%262&y=&x=second&z=a+b"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n/a b/<img>|x=1&2|y=|z=a b"));
}

TEST_F(HttpEndpointTest, HeadHasTheHeadersAlone) {
  const std::string answer = Ask(Request("HEAD /large"));
  EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("Content-Length: 3000000\r\n"), EndsWith("\r\n\r\n")));
}

TEST_F(HttpEndpointTest, ReadsOnly) {
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE"}) {
    EXPECT_THAT(Ask(Request(std::string(method) + " /")), AllOf(StartsWith("HTTP/1.1 405 "), HasSubstr("Allow: GET, HEAD\r\n")))
        << method;
  }
}

TEST_F(HttpEndpointTest, ABodyIsNotReadAsTheNextRequest) {
  const std::string smuggled = "GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
  for (const char* method : {"POST", "GET"}) {
    const std::string answer = Ask(std::string(method) + " /first HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: " +
                                   std::to_string(smuggled.size()) + "\r\n\r\n" + smuggled);
    EXPECT_THAT(answer, AllOf(HasSubstr("Connection: close\r\n"), Not(HasSubstr("/smuggled")))) << method;
  }
}

TEST_F(HttpEndpointTest, AnotherHostIsRefused) {
  for (const char* host : {"Host: evil.example\r\n", "Host: evil.example:80\r\n", "", "Host: localhost\r\nHost: evil.example\r\n"}) {
    EXPECT_THAT(Ask(std::string("GET /secret HTTP/1.1\r\nConnection: close\r\n") + host + "\r\n"),
                AllOf(StartsWith("HTTP/1.1 403 "), HasSubstr("\"code\":\"PERMISSION_DENIED\""), Not(HasSubstr("/secret"))))
        << host;
  }
  EXPECT_THAT(Ask("GET /x HTTP/1.1\r\nConnection: close\r\nHost: lab.example:80\r\n\r\n"), EndsWith("\r\n\r\n/x"));
}

TEST_F(HttpEndpointTest, WhatMayBeKeptIsAskedForAgain) {
  EXPECT_THAT(Ask(Request("GET /kept")), AllOf(HasSubstr("ETag: \"tag\"\r\n"), HasSubstr("Cache-Control: no-cache\r\n"),
                                               HasSubstr("Content-Type: text/html\r\n"), EndsWith("\r\n\r\nkept")));
  EXPECT_THAT(Ask(Request("GET /kept", "If-None-Match: \"tag\"\r\n")), AllOf(StartsWith("HTTP/1.1 304 "), Not(HasSubstr("kept"))));
}

TEST_F(HttpEndpointTest, ADownloadHasAName) {
  EXPECT_THAT(Ask(Request("GET /file")), HasSubstr("Content-Disposition: attachment; filename=\"a.csv\"\r\n"));
}

TEST_F(HttpEndpointTest, AHandlerThatThrowsIsAnError) {
  EXPECT_THAT(Ask(Request("GET /throws")), AllOf(StartsWith("HTTP/1.1 500 "), HasSubstr("\"code\":\"INTERNAL\"")));
  ExpectAlive();
}

TEST_F(HttpEndpointTest, LargeAnswersAreWholeWhateverIsAccepted) {
  const std::string answer = Ask(Request("GET /large", "Accept-Encoding: gzip, br\r\nRange: bytes=1-5\r\n"));
  EXPECT_THAT(answer.substr(0, 400), AllOf(StartsWith("HTTP/1.1 200 "), Not(HasSubstr("Content-Encoding"))));
  EXPECT_EQ(BodyOf(answer).size(), 3'000'000U);
}

TEST_F(HttpEndpointTest, ManyRequestsOnOneConnection) {
  const UniqueFd fd = Connect(endpoint->address());
  for (int i = 0; i < 20; ++i) Send(fd, "GET /" + std::to_string(i) + "x HTTP/1.1\r\nHost: localhost\r\n\r\n");
  Send(fd, Request("GET /last"));
  const std::string answers = ReadToEnd(fd);
  for (int i = 0; i < 20; ++i) EXPECT_THAT(answers, HasSubstr("\r\n\r\n/" + std::to_string(i) + "x"));
  EXPECT_THAT(answers, EndsWith("\r\n\r\n/last"));
}

struct Hostile {
  std::string name;
  std::string bytes;
  std::string answer;  // starts with; empty: none
};
class HostileBytes : public HttpEndpointTest, public ::testing::WithParamInterface<Hostile> {};
TEST_P(HostileBytes, AreAnsweredOrDroppedAndTheServerLives) {
  const UniqueFd fd = Connect(endpoint->address());
  Send(fd, GetParam().bytes);
  ::shutdown(fd.get(), SHUT_WR);  // the client says no more: a half request ends here
  const std::string answer = ReadToEnd(fd);
  EXPECT_THAT(answer, StartsWith(GetParam().answer));
  EXPECT_THAT(answer, Not(HasSubstr("HTTP/1.1 200")));
  ExpectAlive();
}
INSTANTIATE_TEST_SUITE_P(
    HttpEndpointTest, HostileBytes,
    ::testing::Values(Hostile{"Empty", "", ""}, Hostile{"HalfALine", "GET /", ""},
                      Hostile{"HalfAHeader", "GET / HTTP/1.1\r\nHost: loc", ""}, Hostile{"Nonsense", "\x16\x03\x01\x02\r\n\r\n", "HTTP/1.1 400"},
                      Hostile{"NoVersion", "GET /\r\n\r\n", "HTTP/1.1 400"},
                      Hostile{"LongPath", Request("GET /" + std::string(9000, 'a')), "HTTP/1.1 4"},
                      Hostile{"LongHeader", Request("GET /", "X: " + std::string(9000, 'a') + "\r\n"), "HTTP/1.1 400"},
                      Hostile{"BadRange", Request("GET /", "Range: bytes=9-1\r\n"), "HTTP/1.1 416"},
                      Hostile{"ExpectContinue", Request("POST /", "Expect: 100-continue\r\nContent-Length: 5\r\n"), "HTTP/1.1 405"}),
    [](const auto& param) { return param.param.name; });

// A pattern that is matched by recursion needs stack for each of its characters.
TEST_F(HttpEndpointTest, ALongRangeHeaderNeedsNoStack) {
  std::string ranges = "bytes=0-0";
  while (ranges.size() < 8000) ranges += ",0-0";
  EXPECT_THAT(Ask(Request("GET /x", "Range: " + ranges + "\r\n")), StartsWith("HTTP/1.1 "));
  ExpectAlive();
}

TEST_F(HttpEndpointTest, MoreConnectionsThanAreServedAtATime) {
  std::vector<UniqueFd> idle;
  for (int i = 0; i < 31; ++i) idle.push_back(Connect(endpoint->address()));
  for (const UniqueFd& fd : idle) Send(fd, "GET /half HTTP/1.1\r\nHost: loc");
  ExpectAlive();
  for (const UniqueFd& fd : idle) {
    Send(fd, "alhost\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(ReadToEnd(fd), EndsWith("\r\n\r\n/half"));
  }
}

TEST_F(HttpEndpointTest, StopsThoughConnectionsAreOpen) {
  const UniqueFd idle = Connect(endpoint->address());
  const UniqueFd half = Connect(endpoint->address());
  Send(half, "GET /");
  ExpectAlive();
  endpoint.reset();
  EXPECT_EQ(ReadToEnd(idle), "");
  ReadToEnd(half);
}

TEST(HttpEndpointStartTest, ATakenPortIsNamedWithWhatHelps) {
  const auto handler = [](const HttpRequest&) { return HttpAnswer{}; };
  const auto first = HttpEndpoint::Start({}, handler);
  ASSERT_TRUE(first.ok()) << first.status();
  const std::string address = (*first)->address();
  const int port = std::stoi(address.substr(address.find(':') + 1));
  EXPECT_THAT(HttpEndpoint::Start({.port = port}, handler).status(),
              StatusIs(absl::StatusCode::kUnavailable, AllOf(HasSubstr("--http-listen"), HasSubstr(address))));
  EXPECT_THAT(HttpEndpoint::Start({.host = "no.such.host.invalid"}, handler).status(), StatusIs(absl::StatusCode::kUnavailable, ::testing::_));
}

TEST(HttpEndpointStartTest, EndsAtOnce) {
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(HttpEndpoint::Start({}, [](const HttpRequest&) { return HttpAnswer{}; }).ok());
  }
}

}  // namespace
}  // namespace qatgap::server

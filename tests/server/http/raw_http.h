// Bytes to a server and back, as no well-behaved client would send them.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <string>

#include "gtest/gtest.h"
#include "server/artifacts/unique_fd.h"

namespace qatgap::server {

// Connected to "127.0.0.1:PORT".
inline UniqueFd Connect(const std::string& address) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.find(':') + 1))));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  return fd;
}

inline void Send(const UniqueFd& fd, const std::string& bytes) {
  EXPECT_EQ(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}

// Everything until the server closes.
inline std::string ReadToEnd(const UniqueFd& fd) {
  std::string all;
  std::array<char, 4096> buffer{};
  while (true) {
    pollfd polled{fd.get(), POLLIN, 0};
    if (::poll(&polled, 1, /*milliseconds=*/30000) != 1) {
      ADD_FAILURE() << "the server neither answers nor closes; so far: " << all;
      return all;
    }
    const ssize_t got = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0) return all;
    all.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

// One exchange on a connection of its own.
inline std::string Exchange(const std::string& address, const std::string& request) {
  const UniqueFd fd = Connect(address);
  Send(fd, request);
  return ReadToEnd(fd);
}

// A request line with the headers that every request needs, on a connection that ends with the answer.
inline std::string Request(const std::string& line, const std::string& headers = "") {
  return line + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + headers + "\r\n";
}

inline std::string BodyOf(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }

}  // namespace qatgap::server

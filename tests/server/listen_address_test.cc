#include "server/listen_address.h"

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::server {
namespace {

using ::qatgap::testing::IsOk;
using ::qatgap::testing::StatusIs;
using ::testing::HasSubstr;

TEST(ListenAddressTest, OnlyThisHostWithoutInsecure) {
  for (const char* text : {"127.0.0.1:0", "127.1.2.3:5", "localhost:50551", "[::1]:9", "unix:/run/q.sock"}) {
    EXPECT_THAT(CheckReachable(*ParseListenAddress(text), /*insecure=*/false), IsOk()) << text;
  }
  for (const char* text : {"0.0.0.0:1", "[::]:1", "192.0.2.7:1", "127.example.org.evil:1", "host:1"}) {
    const auto address = ParseListenAddress(text);
    QATGAP_ASSERT_OK(address);
    EXPECT_THAT(CheckReachable(*address, /*insecure=*/false),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("--insecure"))) << text;
    EXPECT_THAT(CheckReachable(*address, /*insecure=*/true), IsOk()) << text;
  }
}

TEST(ListenAddressTest, Malformed) {
  for (const char* text : {"", "host", ":1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "unix:", "a:b"}) {
    EXPECT_THAT(ParseListenAddress(text),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--listen"))) << text;
  }
}

}  // namespace
}  // namespace qatgap::server

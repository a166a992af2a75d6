#include "server/http/host_names.h"

#include <string>

#include "gtest/gtest.h"

namespace qatgap::server {
namespace {

const std::vector<std::string> kNames = {"qatgap.lab", ""};

class OurHosts : public ::testing::TestWithParam<std::string> {};
TEST_P(OurHosts, AreAnswered) { EXPECT_TRUE(IsOurHost(GetParam(), kNames)); }
INSTANTIATE_TEST_SUITE_P(HostNamesTest, OurHosts,
                         ::testing::Values("localhost", "LocalHost:8080", "127.0.0.1", "127.0.0.1:65535", "192.0.2.7:1",
                                           "[::1]", "[::1]:8080", "[2001:db8::7]:1", "qatgap.lab", "QATGAP.lab:80"));

class Strangers : public ::testing::TestWithParam<std::string> {};
TEST_P(Strangers, AreNot) { EXPECT_FALSE(IsOurHost(GetParam(), kNames)); }
INSTANTIATE_TEST_SUITE_P(HostNamesTest, Strangers,
                         ::testing::Values("", ":", ":80", "evil.example", "evil.example:8080", "localhost.evil.example",
                                           "127.0.0.1.evil.example", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:999999",
                                           "evil@127.0.0.1", "localhost/", "localhost ", "[::1", "::1]", "[]", "[]:80",
                                           "[evil.example]", "[::1]x:80", "qatgap.lab.evil.example", "0x7f000001", "127.1"));

}  // namespace
}  // namespace qatgap::server

#include "server/services/page_token.h"

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::server {
namespace {

using ::qatgap::testing::IsOkAndHolds;
using ::qatgap::testing::StatusIs;
using ::testing::HasSubstr;

TEST(PageTokenTest, RoundTrip) {
  EXPECT_THAT(ParsePageToken("", "layers:x"), IsOkAndHolds(0));
  EXPECT_THAT(ParsePageToken(MakePageToken("layers:x", 1'234'567'890'123), "layers:x"),
              IsOkAndHolds(1'234'567'890'123));
}

TEST(PageTokenTest, RefusesOthers) {
  for (const std::string& token :
       {MakePageToken("layers:y", 5), MakePageToken("layers:x", 0), MakePageToken("layers:x", -5),
        std::string("garbage!"), std::string(2000, 'A'), std::string("Og==")}) {
    EXPECT_THAT(ParsePageToken(token, "layers:x"),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("page_token:")));
  }
}

TEST(PageSizeTest, DefaultLimitAndError) {
  EXPECT_THAT(ParsePageSize(0, 50), IsOkAndHolds(50U));
  EXPECT_THAT(ParsePageSize(7, 50), IsOkAndHolds(7U));
  EXPECT_THAT(ParsePageSize(5000, 50), IsOkAndHolds(1000U));
  EXPECT_THAT(ParsePageSize(-1, 50), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("-1")));
}

}  // namespace
}  // namespace qatgap::server

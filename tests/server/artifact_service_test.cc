#include <string>

#include "server/artifacts/sha256.h"
#include "tests/server/server_fixture.h"

namespace qatgap::server {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string DigestOf(const std::string& bytes) {
  Sha256 digest;
  digest.Update(bytes);
  return digest.FinishHex();
}

v1::UploadArtifactRequest Header(const std::string& sha256, std::uint64_t size) {
  v1::UploadArtifactRequest request;
  request.mutable_header()->set_sha256(sha256);
  request.mutable_header()->set_size_bytes(size);
  return request;
}

v1::UploadArtifactRequest Chunk(const std::string& bytes) {
  v1::UploadArtifactRequest request;
  request.set_chunk(bytes);
  return request;
}

class ArtifactServiceTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    options.max_artifact_bytes = 3 << 20;
    Start();
  }

  grpc::Status Send(const std::vector<v1::UploadArtifactRequest>& messages) {
    grpc::ClientContext context;
    response.Clear();
    const auto writer = artifacts->UploadArtifact(&context, &response);
    for (const auto& message : messages) {
      if (!writer->Write(message)) break;
    }
    writer->WritesDone();
    return writer->Finish();
  }

  grpc::Status Look(const std::string& sha256) {
    grpc::ClientContext context;
    v1::GetArtifactRequest request;
    request.set_sha256(sha256);
    return artifacts->GetArtifact(&context, request, &found);
  }

  v1::UploadArtifactResponse response;
  v1::GetArtifactResponse found;
};

TEST_F(ArtifactServiceTest, UploadsInChunksAndLooksUp) {
  const std::string digest = DigestOf("hello world");
  ASSERT_THAT(Send({Header(digest, 11), Chunk("hello "), Chunk(""), Chunk("world")}), GrpcOk());
  EXPECT_EQ(response.artifact().sha256(), digest);
  EXPECT_EQ(response.artifact().size_bytes(), 11U);
  ASSERT_THAT(Look(digest), GrpcOk());
  EXPECT_EQ(found.artifact().SerializeAsString(), response.artifact().SerializeAsString());
}

TEST_F(ArtifactServiceTest, SecondUploadKeepsTheFirst) {
  const std::string digest = DigestOf("twice");
  ASSERT_THAT(Send({Header(digest, 5), Chunk("twice")}), GrpcOk());
  const auto first = response.artifact().SerializeAsString();
  ASSERT_THAT(Send({Header(digest, 5), Chunk("twice")}), GrpcOk());
  EXPECT_EQ(response.artifact().SerializeAsString(), first);
}

TEST_F(ArtifactServiceTest, HeaderMustComeFirstAndOnce) {
  EXPECT_THAT(Send({}), GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("header:")));
  EXPECT_THAT(Send({Chunk("x")}), GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("header:")));
  EXPECT_THAT(Send({Header(DigestOf("x"), 1), Header(DigestOf("x"), 1)}),
              GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("header:")));
  EXPECT_THAT(Send({Header(DigestOf("x"), 1), v1::UploadArtifactRequest()}),
              GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("part:")));
}

TEST_F(ArtifactServiceTest, MalformedHeader) {
  EXPECT_THAT(Send({Header("abc", 1)}),
              GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("header.sha256:")));
  EXPECT_THAT(Send({Header(std::string(64, 'A'), 1)}),
              GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("header.sha256:")));
  EXPECT_THAT(Send({Header("../../../" + std::string(55, 'a'), 1)}),
              GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("header.sha256:")));
  EXPECT_THAT(Send({Header(DigestOf(""), 0)}),
              GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("header.size_bytes:")));
}

TEST_F(ArtifactServiceTest, WrongBytes) {
  EXPECT_THAT(Send({Header(DigestOf("right"), 5), Chunk("wrong")}),
              GrpcStatusIs(grpc::INVALID_ARGUMENT, HasSubstr(DigestOf("wrong"))));
  EXPECT_THAT(Send({Header(DigestOf("right"), 6), Chunk("right")}),
              GrpcStatusIs(grpc::INVALID_ARGUMENT, AllOf(HasSubstr("5 bytes"), HasSubstr("6"))));
  EXPECT_THAT(Send({Header(DigestOf("right"), 4), Chunk("right")}),
              GrpcStatusIs(grpc::INVALID_ARGUMENT, HasSubstr("more bytes than the 4")));
  EXPECT_THAT(Look(DigestOf("right")), GrpcStatusIs(grpc::NOT_FOUND, HasSubstr("upload")));
}

TEST_F(ArtifactServiceTest, TooLarge) {
  EXPECT_THAT(Send({Header(DigestOf("x"), (3 << 20) + 1)}),
              GrpcStatusIs(grpc::RESOURCE_EXHAUSTED, HasSubstr("--max-artifact-bytes")));
  const std::string chunk((2 << 20) + 1, 'x');
  EXPECT_THAT(Send({Header(DigestOf(chunk), chunk.size()), Chunk(chunk)}),
              GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("chunk:")));
}

TEST_F(ArtifactServiceTest, LookUpErrors) {
  EXPECT_THAT(Look("xyz"), GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("sha256:")));
  EXPECT_THAT(Look(std::string(64, '0')), GrpcStatusIs(grpc::NOT_FOUND, StartsWith("sha256:")));
}

}  // namespace
}  // namespace qatgap::server

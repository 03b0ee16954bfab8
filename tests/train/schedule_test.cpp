#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/train/schedule.hpp>

#include "../support/message_of.hpp"

namespace attention::train {
namespace {

using test::message_of;
using testing::HasSubstr;

TEST(Schedules, StayConstant) {
  EXPECT_EQ(constant_schedule(0.3)(1), 0.3);
  EXPECT_EQ(constant_schedule(0.3)(1000), 0.3);
}

TEST(Schedules, FollowTheTransformersPaper) {
  const Schedule schedule = noam_schedule(512, 4000);
  EXPECT_DOUBLE_EQ(schedule(1), std::pow(512, -0.5) * std::pow(4000, -1.5));
  EXPECT_DOUBLE_EQ(schedule(4000), std::pow(512, -0.5) * std::pow(4000, -0.5));
  EXPECT_DOUBLE_EQ(schedule(16000), std::pow(512, -0.5) * std::pow(16000, -0.5));
  EXPECT_DOUBLE_EQ(noam_schedule(512, 4000, 2)(7), 2 * schedule(7));
}

TEST(Schedules, FallByACosineOrALine) {
  const ScheduleRange range = {.peak = 2, .last = 1, .warmup = 4, .steps = 14};
  for (const Schedule& schedule : {cosine_schedule(range), linear_schedule(range)}) {
    EXPECT_DOUBLE_EQ(schedule(1), 0.5);
    EXPECT_DOUBLE_EQ(schedule(3), 1.5);
    EXPECT_DOUBLE_EQ(schedule(4), 2);
    EXPECT_DOUBLE_EQ(schedule(9), 1.5);
    EXPECT_DOUBLE_EQ(schedule(14), 1);
    EXPECT_DOUBLE_EQ(schedule(99), 1);
  }
  EXPECT_DOUBLE_EQ(linear_schedule(range)(5), 1.9);
  EXPECT_DOUBLE_EQ(cosine_schedule(range)(5), 1 + (1 + std::cos(std::acos(-1.0) / 10)) / 2);
}

TEST(Schedules, BeginAtThePeakWithoutAWarmUp) {
  const ScheduleRange range = {.peak = 2, .last = 0, .warmup = 0, .steps = 5};
  EXPECT_DOUBLE_EQ(linear_schedule(range)(1), 2);
  EXPECT_DOUBLE_EQ(linear_schedule(range)(3), 1);
  EXPECT_DOUBLE_EQ(linear_schedule(range)(5), 0);
  EXPECT_DOUBLE_EQ(cosine_schedule({.peak = 2, .last = 0.5, .steps = 1})(1), 0.5);
}

TEST(Schedules, SayWhatIsWrong) {
  EXPECT_THAT(message_of([] { noam_schedule(0, 10); }),
              HasSubstr("embed_dim and warmup must be positive; found embed_dim 0, warmup 10"));
  EXPECT_THAT(message_of([] { cosine_schedule({.warmup = 5, .steps = 5}); }),
              HasSubstr("train::cosine_schedule: warmup must lie in [0, steps)"));
  EXPECT_THAT(message_of([] { linear_schedule({.warmup = -1, .steps = 5}); }),
              HasSubstr("found warmup -1, steps 5"));
}

}  // namespace
}  // namespace attention::train

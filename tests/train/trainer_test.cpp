#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/train/trainer.hpp>

#include "../support/files.hpp"
#include "../support/message_of.hpp"
#include "experiments/small_decoder.hpp"

namespace attention::train {
namespace {

using test::message_of;
using test::TemporaryFolder;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::int64_t kBatch = 3;
constexpr std::int64_t kLength = 6;

/// A decoder with dropout that learns to say the token before: its data is drawn step by step.
template <class T>
class Training {
 public:
  Training(TrainerOptions options, int threads)
      : threads_(threads),
        model_(with_dropout(), generator_),
        adam_(model_.parameters(), {.learning_rate = 1e-2, .decoupled = true, .threads = threads}),
        trainer_(adam_, std::move(options)) {}

  bool run(std::int64_t steps) {
    return trainer_.run(steps, [this](const Step& step) {
      for (std::int64_t n = 0; n < kBatch * kLength; ++n) {
        tokens_.data()[n] = static_cast<std::int64_t>(step.generator.next_u32() % 7);
        targets_.data()[n] = n % kLength == 0 ? -100 : tokens_.data()[n - 1];
      }
      return model_.loss(tokens_, targets_, &step.dropout, {.threads = threads_});
    });
  }

  Trainer<T>& trainer() { return trainer_; }
  nn::ParameterList<T> parameters() { return model_.parameters(); }
  std::string bits() {
    std::string result;
    for (const auto& list : {model_.parameters(), adam_.state()}) {
      for (const auto& parameter : list) {
        const Tensor<T> dense = Tensor<T>::copy_of(parameter.value);
        result.append(reinterpret_cast<const char*>(dense.data()), dense.values().size_bytes());
      }
    }
    for (const double loss : trainer_.losses()) {
      result.append(reinterpret_cast<const char*>(&loss), sizeof(loss));
    }
    return result;
  }

 private:
  static experiments::SmallDecoderOptions with_dropout() {
    experiments::SmallDecoderOptions options;
    options.block.dropout = 0.1;
    options.block.attention.dropout = 0.1;
    return options;
  }

  int threads_;
  random::Generator generator_{5};
  experiments::SmallDecoder<T> model_;
  Adam<T> adam_;
  Trainer<T> trainer_;
  Tensor<std::int64_t> tokens_{{kBatch, kLength}};
  Tensor<std::int64_t> targets_{{kBatch, kLength}};
};

template <class T>
class TrainerOf : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(TrainerOf, Types);

TYPED_TEST(TrainerOf, GivesTheSameBitsOnAnyNumberOfThreads) {
  Training<TypeParam> one({.seed = 4, .max_grad_norm = 1}, 1);
  one.run(12);
  for (const int threads : {2, 8}) {
    Training<TypeParam> many({.seed = 4, .max_grad_norm = 1}, threads);
    many.run(12);
    EXPECT_EQ(one.bits(), many.bits());
  }
  Training<TypeParam> other({.seed = 5, .max_grad_norm = 1}, 1);
  other.run(12);
  EXPECT_NE(one.bits(), other.bits());
}

TYPED_TEST(TrainerOf, GivesTheSameBitsWhenResumedAtAnyStep) {
  const TemporaryFolder folder;
  const auto path = folder / "checkpoint";
  const ScheduleRange range = {.peak = 1e-2, .warmup = 3, .steps = 8};
  const TrainerOptions options = {.seed = 4, .schedule = cosine_schedule(range)};
  Training<TypeParam> whole(options, 1);
  EXPECT_TRUE(whole.run(8));
  TrainerOptions saving = options;
  saving.checkpoint = path;
  for (std::int64_t at = 1; at < 8; ++at) {
    Training<TypeParam> first(saving, 1);
    first.run(at);
    Training<TypeParam> second(options, 2);
    second.trainer().resume(path);
    EXPECT_EQ(second.trainer().step(), at);
    second.run(8);
    EXPECT_EQ(second.bits(), whole.bits()) << "resumed after step " << at;
  }
}

TYPED_TEST(TrainerOf, Learns) {
  Training<TypeParam> training({.seed = 4}, 1);
  training.run(150);
  const std::vector<double>& losses = training.trainer().losses();
  EXPECT_LT(losses.back(), 0.6 * losses.front());
}

TEST(Trainer, ReportsProgress) {
  std::vector<Progress> seen;
  Training<float> training({.schedule = linear_schedule({.peak = 1, .last = 0, .steps = 3}),
                            .on_step = [&](const Progress& p) { seen.push_back(p); }},
                           1);
  training.run(3);
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_EQ(seen[1].step, 2);
  EXPECT_EQ(seen[1].steps, 3);
  EXPECT_EQ(seen[1].learning_rate, 0.5);
  EXPECT_EQ(seen[1].loss, training.trainer().losses()[1]);
  EXPECT_GT(seen[1].grad_norm, 0);
  EXPECT_GT(seen[1].steps_per_second, 0);
  EXPECT_EQ(seen[2].seconds_left, 0);
}

TEST(Trainer, StopsWhereItIsAskedToAndSaves) {
  const TemporaryFolder folder;
  std::atomic<bool> stop = false;
  Training<float> training({.checkpoint = folder / "checkpoint",
                            .on_step = [&](const Progress& p) { stop = p.step == 2; },
                            .stop = &stop},
                           1);
  EXPECT_FALSE(training.run(9));
  EXPECT_EQ(training.trainer().step(), 3);  // the step that ran when it was asked
  Training<float> resumed({.seed = 0}, 1);
  resumed.trainer().resume(folder / "checkpoint");
  EXPECT_EQ(resumed.trainer().step(), 3);
}

TEST(Trainer, SavesAsOftenAsItIsTold) {
  const TemporaryFolder folder;
  const auto path = folder / "checkpoint";
  std::vector<bool> there;
  Training<float> training({.checkpoint = path,
                            .checkpoint_every = 2,
                            .on_step =
                                [&](const Progress&) {
                                  there.push_back(std::filesystem::exists(path));
                                  std::filesystem::remove(path);
                                }},
                           1);
  training.run(5);
  EXPECT_THAT(there, ElementsAre(false, true, false, true, true));
}

TEST(Trainer, StopsAtALossThatIsNotANumberAndKeepsTheLastCheckpoint) {
  const TemporaryFolder folder;
  const auto path = folder / "checkpoint";
  Training<float> training({.checkpoint = path, .checkpoint_every = 1}, 1);
  training.run(2);
  const std::string saved = test::read_text(path);
  training.parameters()[5].value(1) = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(message_of([&] { training.run(4); }),
              HasSubstr("train::Trainer: the loss must be finite; found nan at step 3; parameter " +
                        training.parameters()[5].name + " is not finite"));
  EXPECT_EQ(test::read_text(path), saved);
}

TEST(Trainer, StopsAtAGradientThatIsNotANumber) {
  const auto p = autograd::Variable<double>::parameter(Tensor<double>({2}, {1e200, 1}));
  Sgd<double> sgd({{.name = "p", .value = p.mutable_value(), .variable = p}});
  Trainer<double> trainer(sgd, {});
  const autograd::Variable<double> c(Tensor<double>({2}, {0, 1}));
  EXPECT_THAT(message_of([&] {
                trainer.run(1, [&](const Step&) {
                  // The loss is finite, its gradient 0 * inf.
                  const auto far = autograd::scale(autograd::scale(p, 1e200), 0.0);
                  return autograd::sum_to(autograd::multiply(c, autograd::softmax(far)), {});
                });
              }),
              HasSubstr("at step 1; "));
  EXPECT_EQ(trainer.step(), 0);
}

TEST(Trainer, SaysWhatIsWrong) {
  random::Generator generator(1);
  nn::Linear layer(2, 3, generator);
  Sgd<float> sgd(layer.parameters());
  EXPECT_THAT(message_of([&] { Trainer<float>(sgd, {.max_grad_norm = -1}); }),
              HasSubstr("max_grad_norm and checkpoint_every must not be negative"));
  Trainer<float> trainer(sgd, {});
  const autograd::Variable<float> x(Tensor<float>({4, 2}));
  EXPECT_THAT(message_of([&] { trainer.run(1, [&](const Step&) { return layer.forward(x); }); }),
              HasSubstr("the loss must be one number; found shape (4, 3) at step 1"));
}

TEST(Losses, AreWrittenAsCsv) {
  const TemporaryFolder folder;
  write_losses_csv(folder / "losses.csv", {2.5, 0.1, 1e-9});
  EXPECT_EQ(test::read_text(folder / "losses.csv"), "step,loss\n1,2.5\n2,0.1\n3,1e-09\n");
}

}  // namespace
}  // namespace attention::train

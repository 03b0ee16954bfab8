#include "experiments/recall.hpp"

#include <algorithm>
#include <utility>

#include "experiments/small_decoder.hpp"

namespace attention::experiments {
namespace {

/// Sequences of a batch, and what follows each token where it can be known; -100 elsewhere.
struct Batch {
  Tensor<std::int64_t> tokens;
  Tensor<std::int64_t> targets;
};

constexpr std::int64_t kNoTarget = -100;

Batch drawn_batch(const RecallSettings& settings, std::int64_t size, random::Generator& generator) {
  const std::int64_t n = settings.length;
  Batch batch = {.tokens = Tensor<std::int64_t>({size, 2 * n}),
                 .targets = Tensor<std::int64_t>::filled({size, 2 * n}, kNoTarget)};
  for (std::int64_t b = 0; b < size; ++b) {
    for (std::int64_t i = 0; i < n; ++i) {
      batch.tokens(b, i) = static_cast<std::int64_t>(generator.next_u32() %
                                                     static_cast<std::uint32_t>(settings.tokens));
    }
    batch.tokens(b, n) = settings.tokens;  // the separator
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t from = settings.task == RecallTask::repeat ? i : n - 1 - i;
      batch.targets(b, n + i) = batch.tokens(b, from);
      if (i + 1 < n) {
        batch.tokens(b, n + i + 1) = batch.tokens(b, from);
      }
    }
  }
  return batch;
}

SmallDecoderOptions decoder_options(const RecallSettings& settings) {
  return {
      .tokens = settings.tokens + 1,
      .positions = 2 * settings.length,
      .blocks = settings.layers,
      .block = {.attention = {.embed_dim = settings.embed_dim,
                              .num_heads = settings.heads,
                              .dropout = settings.dropout},
                .feed_forward = {.kind = nn::FeedForwardKind::gelu, .dropout = settings.dropout},
                .dropout = settings.dropout}};
}

/// The share of targets that have the largest logit.
double accuracy_of(const SmallDecoder<float>& model, const Batch& batch) {
  const autograd::NoGrad guard;
  const autograd::Variable<float> logits = model.logits(batch.tokens);
  const TensorView<const float> values = logits.value();
  std::int64_t right = 0;
  std::int64_t all = 0;
  for (std::int64_t b = 0; b < values.size(0); ++b) {
    for (std::int64_t i = 0; i < values.size(1); ++i) {
      const std::int64_t target = batch.targets(b, i);
      if (target == kNoTarget) {
        continue;
      }
      std::int64_t best = 0;
      for (std::int64_t c = 1; c < values.size(2); ++c) {
        best = values(b, i, c) > values(b, i, best) ? c : best;
      }
      right += best == target ? 1 : 0;
      ++all;
    }
  }
  return static_cast<double>(right) / static_cast<double>(all);
}

void check(const RecallSettings& settings) {
  const char* const function = "experiments::learn_recall";
  require(settings.tokens > 0 && settings.length > 0 && settings.batch > 0 && settings.layers >= 0,
          function, "tokens, length and batch must be positive, and layers not negative", [&] {
            return "tokens " + std::to_string(settings.tokens) + ", length " +
                   std::to_string(settings.length) + ", batch " + std::to_string(settings.batch) +
                   ", layers " + std::to_string(settings.layers);
          });
}

}  // namespace

RecallResult learn_recall(const RecallSettings& settings, train::TrainerOptions options,
                          const std::optional<std::filesystem::path>& resume) {
  check(settings);
  const Execution execution = {.threads = settings.threads};
  random::Generator generator(settings.seed);
  SmallDecoder<float> model(decoder_options(settings), generator);
  const nn::Parameters parameters = model.parameters();
  train::Adam<float> adam(parameters, {.learning_rate = settings.learning_rate,
                                       .weight_decay = 0.01,
                                       .decoupled = true,
                                       .threads = settings.threads});
  options.seed = settings.seed + 1;
  options.schedule =
      train::cosine_schedule({.peak = settings.learning_rate,
                              .last = settings.learning_rate / 100,
                              .warmup = std::min(settings.warmup, settings.steps / 2),
                              .steps = settings.steps});
  options.max_grad_norm = 1;
  train::Trainer<float> trainer(adam, std::move(options));
  if (resume) {
    trainer.resume(*resume);
  }
  RecallResult result;
  result.finished = trainer.run(settings.steps, [&](const train::Step& step) {
    const Batch batch = drawn_batch(settings, settings.batch, step.generator);
    return model.loss(batch.tokens, batch.targets, &step.dropout, execution);
  });
  result.losses = trainer.losses();
  random::Generator held_out(settings.seed + 2);
  result.accuracy = accuracy_of(model, drawn_batch(settings, 256, held_out));
  result.chance = 1.0 / static_cast<double>(settings.tokens);
  for (const nn::Parameter<float>& parameter : parameters) {
    result.parameters += parameter.value.element_count();
  }
  return result;
}

}  // namespace attention::experiments

#include "core/train/trainer.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/utils.h>

#include <utility>
#include <vector>

#include "core/data/images.h"
#include "core/model/network.h"
#include "core/runtime/tensor_copy.h"
#include "core/train/evaluate.h"
#include "core/train/progress.h"
#include "core/train/run_data.h"
#include "core/weights/safetensors_writer.h"
#include "core/weights/tensor_file.h"

namespace densenet {

namespace {

TrainerOptions with_seed(TrainerOptions options) {
  options.seed = seed_of(options);
  return options;
}

}  // namespace

struct Trainer::State {
  TrainerOptions options;
  Learner learner;
  at::Generator data_generator;  // order of the images, augmentation and mixing; on the CPU
  Progress progress;             // of the last run, or of the one that was taken from a checkpoint
  bool resumed = false;          // whether the next run goes on from there

  State(std::shared_ptr<Model> model, const TrainerOptions& given)
      : options(with_seed(given)),
        learner(std::move(model), options),
        data_generator(at::make_generator<at::CPUGeneratorImpl>(*options.seed)) {}

  void load(const TrainingState& state);
};

void Trainer::State::load(const TrainingState& state) {
  Progress loaded = Progress::from_state(state);
  learner.load_state(state);
  const at::Tensor own = data_generator.get_state();
  data_generator.set_state(entry_of(state, "trainer.generator.data", own.sizes()).clone());
  progress = std::move(loaded);
}

Trainer::Trainer(std::shared_ptr<Model> model, const TrainerOptions& options)
    : state_(std::make_unique<State>(std::move(model), options)) {}

Trainer::~Trainer() = default;

void Trainer::release() noexcept { state_.reset(); }

StepResult Trainer::step(const HostTensor& images, const HostTensor& labels) {
  Learner& learner = state_->learner;
  const Model& model = learner.model();
  const at::Tensor pixels = view_of(images);
  const at::Tensor classes = view_of(labels);
  check_finite(pixels, "images");
  check_labels(classes, model.config().num_classes, "labels");
  const at::ScalarType type = classes.is_floating_point() ? at::kFloat : at::kLong;
  const Batch batch{.images = pixels.to(learner.device()), .labels = classes.to(learner.device(), type)};
  learner.follow();
  return learner.step({&batch, 1}, /*pooled=*/false,
                      {.learning_rates = learner.optimizer().base_rates(), .momentum = {}});
}

bool Trainer::fit(const DatasetPtr& train, const DatasetPtr& validation, const FitPlan& plan, FitObserver& observer) {
  State& state = *state_;
  Learner& learner = state.learner;
  const Model& model = learner.model();
  check_dataset(*train, model, "training images", "training labels");
  if (validation) check_dataset(*validation, model, "validation images", "validation labels");
  learner.follow();
  const Patience patience{.stop = [&] { return observer.stop_requested(); },
                          .pause =
                              [&] {
                                // Nobody is to see, or save, the average in the place of the weights.
                                if (!learner.average().in_use()) observer.pause();
                              }};
  RunData data(*train, plan.batch_size, plan.smallest_batch, learner.device(), patience);
  std::optional<RunData> held;
  if (validation) held.emplace(*validation, plan.batch_size, 1, learner.device(), patience);
  const Progress before = state.progress;
  if (!state.resumed) state.progress = Progress();
  std::optional<Run> run;
  try {
    run.emplace(Run::Parts{.learner = learner,
                           .progress = state.progress,
                           .data_generator = state.data_generator,
                           .options = state.options,
                           .plan = plan,
                           .train = data,
                           .validation = held ? &*held : nullptr,
                           .observer = observer});
  } catch (...) {  // a run that is refused leaves the place as it was
    state.progress = before;
    throw;
  }
  state.resumed = false;
  return run->go();
}

std::optional<Evaluation> Trainer::evaluate(const DatasetPtr& dataset, std::int64_t batch_size,
                                            const EvaluationOptions& options, const std::function<bool()>& stop) {
  Learner& learner = state_->learner;
  const auto use = learner.average().use(learner.model().network());
  return evaluate_dataset(learner.model(), *dataset, batch_size, options, stop);
}

std::optional<RateCurve> Trainer::find_learning_rate(const DatasetPtr& dataset, const RateSearch& search,
                                                     const std::function<bool()>& stop) {
  return densenet::find_learning_rate(state_->learner.shared_model(), state_->options, *dataset, search, stop);
}

void Trainer::save(const std::string& path, const std::string& metadata) const {
  const State& state = *state_;
  write_verified(path, metadata, training_state(state.learner, state.progress, state.data_generator));
}

const Progress& Trainer::resume(const std::string& path, std::span<const TensorEntry> entries) {
  State& state = *state_;
  TrainingState saved;
  const TensorReader reader(path, entries);
  for (const TensorEntry& entry : entries) saved.emplace(entry.name, reader.read(entry).clone());
  state.learner.follow();
  const TrainingState before = copy_of(training_state(state.learner, state.progress, state.data_generator));
  try {
    state.load(saved);
  } catch (...) {
    state.load(before);
    throw;
  }
  state.resumed = true;
  return state.progress;
}

void Trainer::save_weights(const std::string& path, std::span<const FilePiece> pieces) {
  Learner& learner = state_->learner;
  const auto use = learner.average().use(learner.model().network());
  learner.model().save(path, pieces);
}

bool Trainer::adopt_average() {
  Learner& learner = state_->learner;
  auto use = learner.average().use(learner.model().network());
  if (use) use->keep();
  return use.has_value();
}

}  // namespace densenet

/// Memory that runs out at every single place: each piece that a call asks for is refused in its turn. The call has to
/// fail with ERR_OUT_OF_MEMORY and leave everything as it was, and the next one has to work as if nothing had been. A
/// step that finds memory after all, once the buffers that were kept are given back, is right too. Prints one line of
/// JSON a check; the exit code says whether all held. test/native/allocation.test.ts builds and runs it.

#include <ATen/ATen.h>
#include <torch/utils.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "core/data/images.h"
#include "core/model/network.h"
#include "core/runtime/failure.h"
#include "core/runtime/tensor_copy.h"
#include "core/train/run_data.h"
#include "core/weights/safetensors_writer.h"
#include "core_calls.h"
#include "failure_checks.h"
#include "refusal.h"
#include "report.h"

namespace {

using densenet::Learner;
using densenet::Model;
using densenet::ModelConfig;
using densenet::TrainerOptions;
using densenet::TrainingState;

constexpr std::size_t kLeast = 64;

/// Places beyond which something goes in circles.
constexpr long kMost = 100'000;

/// What became of a call.
struct Tried {
  bool refused = false;  // whether it came to a piece that was refused
  std::string failure;   // its code; empty where the call succeeded all the same
  std::string message;
};

Tried try_call(const std::function<void()>& call, long nth, std::size_t least) {
  const Refusal refusal(nth, least);
  Tried tried;
  try {
    call();
    tried.refused = Refusal::met();
  } catch (...) {
    tried.refused = Refusal::met();
    const densenet::Failure failure = densenet::describe_failure(std::current_exception());
    tried.failure = failure.code;
    tried.message = failure.message;
  }
  return tried;
}

/// Refuses each piece of `call` in its turn until one call comes to its end unrefused. `on_failure` and `on_success`
/// say whether all is then as it should be.
void check_everywhere(const std::string& name, std::size_t least, const std::function<void()>& call,
                      const std::function<bool()>& on_failure, const std::function<bool()>& on_success) {
  long refusals = 0;
  bool held = true;
  const auto expect = [&](bool right, long nth, const std::string& what) {
    if (!right && held) std::fprintf(stderr, "%s, place %ld: %s\n", name.c_str(), nth, what.c_str());
    held = held && right;
  };
  long nth = 1;
  for (; nth < kMost; ++nth) {
    const Tried tried = try_call(call, nth, least);
    if (tried.refused) ++refusals;
    if (tried.failure.empty()) {
      expect(on_success(), nth, "the call succeeded, and its result is another");
      if (!tried.refused) break;
    } else {
      expect(tried.refused, nth, "failed by itself: " + tried.message);
      expect(tried.failure == "ERR_OUT_OF_MEMORY", nth, tried.failure + ": " + tried.message);
      expect(on_failure(), nth, "failed (" + tried.message + ") and left traces");
    }
  }
  report(name, held && refusals > 0 && nth < kMost, static_cast<double>(refusals));
}

bool same(const TrainingState& a, const TrainingState& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, tensor] : a) {
    const auto found = b.find(name);
    if (found == b.end() || !at::equal(tensor, found->second)) return false;
  }
  return true;
}

TrainingState state_of(const Learner& learner) {
  TrainingState state;
  learner.save_state(state);
  return densenet::copy_of(state);
}

struct StepCase {
  std::string name;
  ModelConfig config;
  TrainerOptions options;
  std::int64_t images = 4;
  std::int64_t size = 8;
  std::size_t least = kLeast;
  bool frozen = false;
};

std::vector<StepCase> step_cases() {
  const auto with = [](std::string name, const std::function<void(StepCase&)>& change) {
    StepCase one{.name = std::move(name), .config = small_config(), .options = small_options()};
    change(one);
    return one;
  };
  using Kind = densenet::OptimizerOptions::Kind;
  return {
      with("sgd with momentum", [](StepCase&) {}),
      with("adam with amsgrad",
           [](StepCase& one) {
             one.options.optimizer.kind = Kind::kAdam;
             one.options.optimizer.amsgrad = true;
             one.options.clip_norm = 0.1;
           }),
      with("rmsprop, centered, with momentum and weight decay",
           [](StepCase& one) {
             one.options.optimizer.kind = Kind::kRmsProp;
             one.options.optimizer.centered = true;
             one.options.optimizer.weight_decay = 0.1;
             one.options.optimizer.groups = {{.prefix = "classifier", .learning_rate = 0.2, .weight_decay = 0.0}};
           }),
      with("an exponential average",
           [](StepCase& one) {
             one.options.average.kind = densenet::AverageOptions::Kind::kExponential;
             one.options.average.decay = 0.5;
           }),
      with("dropout and label smoothing",
           [](StepCase& one) {
             one.config.drop_rate = 0.3;
             one.options.loss.label_smoothing = 0.1;
           }),
      with("frozen features", [](StepCase& one) { one.frozen = true; }),
      with("half precision", [](StepCase& one) { one.options.precision = densenet::Precision::kBFloat16; }),
      with("large buffers",
           [](StepCase& one) {
             one.config.growth_rate = 12;
             one.config.init_channels = 24;
             one.images = 24;
             one.size = 32;
             one.least = std::size_t{1} << 20U;
           }),
  };
}

/// A learner and what it learns from.
struct Pupil {
  std::shared_ptr<Model> model;
  Learner learner;
  densenet::Batch batch;
  double loss = 0.0;

  explicit Pupil(const StepCase& one)
      : model(std::make_shared<Model>(one.config, "cpu", 1, densenet::RunOptions{})), learner(model, one.options) {
    if (one.frozen) model->set_trainable("features", false, false);
    learner.follow();
    batch.images = densenet::view_of(small_images(one.images, one.size)).clone();
    batch.labels = densenet::view_of(small_labels(one.images)).to(at::kLong);
  }

  void step() {
    loss =
        learner
            .step({&batch, 1}, /*pooled=*/false, {.learning_rates = learner.optimizer().base_rates(), .momentum = {}})
            .loss;
  }
};

void check_steps(const StepCase& one) {
  Pupil pupil(one);
  Pupil twin(one);  // has all the memory that it asks for
  for (const char* which : {"the first step", "a later step"}) {
    TrainingState before = state_of(pupil.learner);
    twin.step();
    check_everywhere(
        one.name + ": " + which + " that is refused memory leaves all as it was", one.least, [&] { pupil.step(); },
        [&] { return same(state_of(pupil.learner), before); },
        [&] {
          before = state_of(pupil.learner);
          const bool right = pupil.loss == twin.loss && same(before, state_of(twin.learner));
          twin.step();
          return right;
        });
    pupil.step();  // the twin is one ahead
  }
}

std::string place_for(const std::string& name) {
  return (std::filesystem::temp_directory_path() / ("densenet-" + std::to_string(::getpid()) + "-" + name)).string();
}

void check_model() {
  const auto model = small_model();
  const densenet::HostTensor images = small_images(5);
  const auto unchanged = [&, before = bytes_of(*model)] { return bytes_of(*model) == before; };
  const std::vector<float> expected = model->predict(images, 3).probability;
  std::vector<float> found;
  check_everywhere(
      "a prediction that is refused memory", kLeast, [&] { found = model->predict(images, 3).probability; }, unchanged,
      [&] { return found == expected; });
  std::size_t tensors = 0;
  check_everywhere(
      "a state that is refused memory", kLeast, [&] { tensors = model->state().size(); }, unchanged,
      [&] { return tensors == model->describe_state().size(); });
  check_everywhere(
      "a heat map that is refused memory", kLeast,
      [&] { (void)model->grad_cam(images, "denseblock2", {-1, -1, -1, -1, -1}, true, true); }, unchanged,
      [&] { return unchanged() && model->gradients().empty(); });
  check_everywhere(
      "an evaluation that is refused memory", kLeast,
      [&] {
        densenet::EvaluationOptions options;
        options.top_k = {2};
        options.ranking = true;
        densenet::evaluate_dataset(*model, *small_data(6), 4, options, [] { return false; });
      },
      unchanged, unchanged);
  const auto classes = [&] { return model->config().num_classes; };
  check_everywhere(
      "a new classifier that is refused memory", kLeast, [&] { model->replace_classifier(40, 2); },
      [&] { return unchanged() && classes() == 3; },
      [&] { return classes() == 40 && model->predict(images, 40).k == 40; });
}

/// A file of all tensors of a model, one after the other, and what it says of them; the first filters for three
/// channels.
std::vector<densenet::TensorEntry> write_plain(const std::string& path, const Model& model) {
  std::ofstream file(path, std::ios::binary);
  std::vector<densenet::TensorEntry> entries;
  std::uint64_t offset = 0;
  for (const densenet::NamedTensor& one : model.state()) {
    densenet::TensorEntry entry;
    entry.name = one.name;
    entry.dtype = one.tensor.dtype == densenet::DType::kInt64 ? densenet::FileDType::kI64 : densenet::FileDType::kF32;
    entry.shape = one.tensor.shape;
    const int times = one.name == "features.conv0.weight" ? 3 : 1;
    if (times == 3) {
      entry.shape[1] = 3;
      entry.adapt_channels = 1;
    }
    std::int64_t stride = 1;
    for (auto length = entry.shape.rbegin(); length != entry.shape.rend(); ++length) {
      entry.strides.insert(entry.strides.begin(), stride);
      stride *= *length;
    }
    entry.offset = offset;
    entry.bytes = static_cast<std::uint64_t>(times) * one.tensor.bytes;
    offset += entry.bytes;
    for (int time = 0; time < times; ++time) {
      file.write(reinterpret_cast<const char*>(one.tensor.data.get()), static_cast<std::streamsize>(one.tensor.bytes));
    }
    entries.push_back(entry);
  }
  return entries;
}

void check_files() {
  const std::string path = place_for("plain");
  const auto model = small_model(1);
  const std::string before = bytes_of(*model);
  const std::vector<densenet::TensorEntry> entries = write_plain(path, *small_model(2));
  check_everywhere(
      "a load that is refused memory leaves the model as it was", kLeast, [&] { model->load(path, entries, {}); },
      [&] { return bytes_of(*model) == before; }, [&] { return bytes_of(*model) != before; });
  std::filesystem::remove(path);

  const std::string checkpoint = place_for("checkpoint");
  densenet::Trainer trainer(model, small_options());
  trainer.step(small_images(4), small_labels(4));
  check_everywhere(
      "a checkpoint that is refused memory leaves no file", kLeast, [&] { trainer.save(checkpoint, "{}"); },
      [&] { return !std::filesystem::exists(checkpoint); }, [&] { return densenet::is_verified(checkpoint); });
  std::size_t left = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::temp_directory_path())) {
    if (entry.path().string().starts_with(checkpoint)) ++left;
  }
  report("nothing unfinished is left beside it", left == 1, static_cast<double>(left));
  std::filesystem::remove(checkpoint);
}

void check_run() {
  Served served;
  const densenet::DatasetPtr data = small_data(9);
  densenet::FitPlan plan = small_plan(2);
  plan.augmentations = {densenet::RandomCrop{.padding = 1}};
  check_everywhere(
      "a run that is refused memory ends with that, and the next one works", std::size_t{1} << 10U,
      [&] { served.trainer->fit(data, data, plan, *served.follower); }, [] { return true; },
      [&] { return served.model->predict(small_images(1), 1).probability.front() > 0.3F; });
}

}  // namespace

int main() {
  check_failures();
  for (const StepCase& one : step_cases()) check_steps(one);
  check_model();
  check_files();
  check_run();
  return all_held ? 0 : 1;
}

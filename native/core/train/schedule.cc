#include "core/train/schedule.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <utility>

namespace densenet {

namespace {

double half_cosine(double from, double to, double share) {
  return to + ((from - to) / 2.0 * (1.0 + std::cos(std::numbers::pi * share)));
}

/// The share of the current period that has passed; each is `factor` times as long as the one before.
double restart_share(std::int64_t moment, std::int64_t period, std::int64_t factor) {
  std::int64_t start = 0;
  while (moment - start >= period) {
    start += period;
    period *= factor;
  }
  return static_cast<double>(moment - start) / static_cast<double>(period);
}

}  // namespace

Schedule::Schedule(ScheduleOptions options, std::vector<double> base_rates, const RunLength& run)
    : options_(std::move(options)), base_rates_(std::move(base_rates)), steps_(run.steps) {
  const std::int64_t whole = options_.per_step ? run.epochs * run.steps : run.epochs;
  const std::int64_t rest = std::max<std::int64_t>(whole - options_.warm_up.length, 1);
  length_ = options_.length > 0 ? options_.length : rest;
  watch_.rates = base_rates_;
}

double Schedule::one_cycle(std::int64_t moment, double first, double peak, double last) const {
  struct Phase {
    double end;  // its last moment
    double from;
    double to;
  };
  const auto length = static_cast<double>(length_);
  const double top = (options_.one_cycle.rising * length) - 1.0;
  const std::array<Phase, 3> phases{{{.end = top, .from = first, .to = peak},
                                     {.end = (2.0 * top), .from = peak, .to = first},
                                     {.end = length - 1.0, .from = first, .to = last}}};
  const std::array<Phase, 2> two{{phases[0], {.end = length - 1.0, .from = peak, .to = last}}};
  const std::vector<Phase> plan = options_.one_cycle.three_phases ? std::vector<Phase>(phases.begin(), phases.end())
                                                                  : std::vector<Phase>(two.begin(), two.end());
  const double now = std::min(static_cast<double>(moment), length - 1.0);
  double start = 0.0;
  std::size_t index = 0;
  while (index + 1 < plan.size() && now > plan[index].end) start = plan[index++].end;
  const Phase& phase = plan[index];
  const double share = phase.end > start ? (now - start) / (phase.end - start) : 1.0;
  if (options_.one_cycle.linear) return ((phase.to - phase.from) * share) + phase.from;
  return half_cosine(phase.from, phase.to, share);
}

double Schedule::rate_at(double base, std::int64_t moment) const {
  const auto length = static_cast<double>(length_);
  const auto now = static_cast<double>(moment);
  switch (options_.kind) {
    case ScheduleOptions::Kind::kConstant:
    case ScheduleOptions::Kind::kPlateau:
      return base;
    case ScheduleOptions::Kind::kStep: {
      const std::int64_t drops = moment / options_.step_size;
      return base * std::pow(options_.gamma, static_cast<double>(drops));
    }
    case ScheduleOptions::Kind::kMultiStep: {
      const auto passed = std::ranges::count_if(options_.milestones, [&](std::int64_t one) { return one <= moment; });
      return base * std::pow(options_.gamma, static_cast<double>(passed));
    }
    case ScheduleOptions::Kind::kExponential:
      return base * std::pow(options_.gamma, now);
    case ScheduleOptions::Kind::kCosine:
      return half_cosine(base, options_.minimum, now / length);
    case ScheduleOptions::Kind::kCosineRestarts:
      return half_cosine(base, options_.minimum, restart_share(moment, options_.period, options_.period_factor));
    case ScheduleOptions::Kind::kOneCycle: {
      const double first = base / options_.one_cycle.start_divisor;
      return one_cycle(moment, first, base, first / options_.one_cycle.end_divisor);
    }
    case ScheduleOptions::Kind::kPolynomial:
      return base * std::pow(1.0 - (std::min(now, length) / length), options_.power);
  }
  return base;
}

double Schedule::warm_up_factor(std::int64_t moment) const {
  const ScheduleOptions::WarmUp& warm_up = options_.warm_up;
  if (warm_up.constant) return warm_up.start;
  const double share = static_cast<double>(moment) / static_cast<double>(warm_up.length);
  return warm_up.start + ((1.0 - warm_up.start) * share);
}

Rates Schedule::at(std::int64_t epoch, std::int64_t step) const {
  const std::int64_t now = options_.per_step ? (epoch * steps_) + step : epoch;
  const std::int64_t warm_up = options_.warm_up.length;
  Rates rates{.learning_rates = options_.kind == ScheduleOptions::Kind::kPlateau ? watch_.rates : base_rates_,
              .momentum = {}};
  for (double& rate : rates.learning_rates) {
    rate = now < warm_up ? rate * warm_up_factor(now) : rate_at(rate, now - warm_up);
  }
  if (options_.kind == ScheduleOptions::Kind::kOneCycle && options_.one_cycle.cycle_momentum) {
    const ScheduleOptions::OneCycle& cycle = options_.one_cycle;
    rates.momentum = one_cycle(now, cycle.high_momentum, cycle.low_momentum, cycle.high_momentum);
  }
  return rates;
}

void Schedule::observe(const Metrics& metrics) {
  if (options_.kind != ScheduleOptions::Kind::kPlateau) return;
  watch_.epochs += 1;
  if (watch_.epochs <= options_.warm_up.length) return;  // always in epochs
  const ScheduleOptions::Plateau& plateau = options_.plateau;
  // Turned so that less is better.
  const double sign = plateau.top1 ? -1.0 : 1.0;
  const double value = sign * (plateau.top1 ? metrics.top1 : metrics.loss);
  const bool first = watch_.epochs == options_.warm_up.length + 1;
  const double margin = plateau.relative ? std::abs(watch_.best) * plateau.threshold : plateau.threshold;
  if (first || value < watch_.best - margin) {
    watch_.best = value;
    watch_.bad = 0;
  } else {
    watch_.bad += 1;
  }
  if (watch_.cooldown > 0) {
    watch_.cooldown -= 1;
    watch_.bad = 0;
  }
  if (watch_.bad <= plateau.patience) return;
  for (double& rate : watch_.rates) {
    const double next = std::max(rate * options_.gamma, options_.minimum);
    if (rate - next > plateau.epsilon) rate = next;
  }
  watch_.cooldown = plateau.cooldown;
  watch_.bad = 0;
}

void Schedule::save_state(TrainingState& state) const {
  if (options_.kind != ScheduleOptions::Kind::kPlateau) return;
  std::vector<double> values{watch_.best, static_cast<double>(watch_.epochs), static_cast<double>(watch_.bad),
                             static_cast<double>(watch_.cooldown)};
  values.insert(values.end(), watch_.rates.begin(), watch_.rates.end());
  state.emplace(kEntry, at::tensor(values, at::kDouble));
}

void Schedule::load_state(const TrainingState& state) {
  if (options_.kind != ScheduleOptions::Kind::kPlateau) return;
  const auto count = static_cast<std::int64_t>(4 + watch_.rates.size());
  const at::Tensor saved = entry_of(state, kEntry, {count}).to(at::kCPU, at::kDouble).contiguous();
  const auto* values = saved.const_data_ptr<double>();
  watch_.best = values[0];
  watch_.epochs = static_cast<std::int64_t>(values[1]);
  watch_.bad = static_cast<std::int64_t>(values[2]);
  watch_.cooldown = static_cast<std::int64_t>(values[3]);
  std::copy_n(values + 4, watch_.rates.size(), watch_.rates.begin());
}

std::vector<Rates> rates_of_run(const ScheduleOptions& options, double base_rate, const RunLength& run,
                                const std::vector<Metrics>& epochs) {
  Schedule schedule(options, {base_rate}, run);
  std::vector<Rates> rates;
  rates.reserve(static_cast<std::size_t>(run.epochs * run.steps));
  for (std::int64_t epoch = 0; epoch < run.epochs; ++epoch) {
    for (std::int64_t step = 0; step < run.steps; ++step) rates.push_back(schedule.at(epoch, step));
    const auto index = static_cast<std::size_t>(epoch);
    schedule.observe(index < epochs.size() ? epochs[index] : Metrics{});
  }
  return rates;
}

}  // namespace densenet

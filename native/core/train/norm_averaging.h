#pragma once

#include <torch/nn/modules/batchnorm.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace densenet {

class NetworkImpl;

/// For as long as it lives, the running statistics of the batch norms that train are the plain mean over the batches
/// since it began, as torch.optim.swa_utils.update_bn takes them.
class NormAveraging {
 public:
  explicit NormAveraging(const NetworkImpl& network);
  ~NormAveraging();
  NormAveraging(const NormAveraging&) = delete;
  NormAveraging& operator=(const NormAveraging&) = delete;
  NormAveraging(NormAveraging&&) = delete;
  NormAveraging& operator=(NormAveraging&&) = delete;

  /// Before the forward pass of each batch.
  void begin_batch();

 private:
  struct Norm {
    std::shared_ptr<torch::nn::BatchNorm2dImpl> module;
    double momentum;
  };
  std::vector<Norm> norms_;
  std::int64_t batches_ = 0;
};

}  // namespace densenet

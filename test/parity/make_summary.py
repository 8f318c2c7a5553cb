"""Writes fixtures/summary.json: what PyTorch itself counts of networks, part by part.

Run it from this folder: `python make_summary.py`, with the packages that README.md names.

Multiply-adds are those of torch.utils.flop_counter, which counts each as two operations; kept bytes are the tensors that
autograd saves for the backward pass, those that share memory once, without parameters and buffers.
"""

import json
from collections import OrderedDict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from reference import DenseNet

BASE = {
    "growthRate": 32,
    "blockConfig": [6, 12, 24, 16],
    "initChannels": 64,
    "bottleneck": True,
    "bottleneckSize": 4,
    "compression": 0.5,
    "stem": "imagenet",
    "inChannels": 3,
    "numClasses": 1000,
}
CASES = {
    "densenet121": (BASE, [1, 224, 224]),
    "imagenet-odd": (BASE | {"growthRate": 8, "blockConfig": [2, 3, 1], "compression": 0.7}, [3, 75, 98]),
    "cifar-bc": (BASE | {"growthRate": 12, "blockConfig": [4, 4, 4], "initChannels": 24, "stem": "cifar", "numClasses": 10}, [4, 32, 32]),
    "cifar-plain": (BASE | {"growthRate": 12, "blockConfig": [3, 3], "initChannels": 16, "stem": "cifar", "bottleneck": False, "compression": 1.0, "inChannels": 1, "numClasses": 5}, [2, 20, 28]),
}


class Kept:
    """The bytes that autograd saves while it is entered."""

    def __init__(self, model: nn.Module) -> None:
        self.seen = {tensor.untyped_storage().data_ptr() for tensor in model.state_dict().values()}
        self.alive: list[Tensor] = []  # a storage that is freed may lend its address to the next
        self.bytes = 0

    def pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if tensor.numel() > 0 and storage.data_ptr() not in self.seen:
            self.seen.add(storage.data_ptr())
            self.bytes += storage.nbytes()
        self.alive.append(tensor)
        return tensor


def parts_of(model: DenseNet) -> "OrderedDict[str, nn.Module]":
    """The parts that summary() tells of; a ReLU belongs to the norm before it, as does the pooling at the end."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for name, module in model.features.named_children():
        if name != "relu0":
            parts[f"features.{name}"] = module
    parts["classifier"] = model.classifier
    return parts


def run(name: str, module: nn.Module, x: Tensor) -> Tensor:
    if name == "features.norm0":
        return F.relu(module(x), inplace=True)
    if name == "features.norm5":
        return F.relu(module(x), inplace=True).mean((2, 3))
    return module(x)


def measure(config: dict, batch: int, height: int, width: int) -> list[dict]:
    model = DenseNet(config).train()
    x = torch.rand(batch, config["inChannels"], height, width)
    kept = Kept(model)
    rows = []
    for name, module in parts_of(model).items():
        before = kept.bytes
        with FlopCounterMode(display=False) as counter, saved_tensors_hooks(kept.pack, lambda tensor: tensor):
            x = run(name, module, x)
        shape = list(x.shape)
        if name == "features.norm5":
            shape = rows[-1]["shape"]
        rows.append(
            {
                "name": name,
                "shape": shape,
                "parameters": sum(parameter.numel() for parameter in module.parameters()),
                "multiplyAdds": counter.get_total_flops() // 2,
                "kept": kept.bytes - before,
            }
        )
    return rows


def main() -> None:
    torch.manual_seed(0)
    cases = {name: {"config": config, "shape": shape, "parts": measure(config, *shape)} for name, (config, shape) in CASES.items()}
    path = Path(__file__).parent / "fixtures" / "summary.json"
    path.write_text(json.dumps(cases, indent=1) + "\n")


main()

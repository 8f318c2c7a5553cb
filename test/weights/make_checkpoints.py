"""Makes the checkpoints of the readers' tests: run `pip install torch==2.13.0 numpy`, then `python make_checkpoints.py`.

It writes one tiny DenseNet (reference.py of the parity tests) to `fixtures/` in every way in which such a network is
saved: both of torch's formats and safetensors, wrapped, inside training checkpoints, in other precisions, as views, under
other programs' names. `expected.safetensors` holds images and the logits that all of them must give. Running it again gives tensors of the same bytes; the
storage keys of the legacy format are addresses and differ.

`--large DIR` instead writes densenet121, 161, 169 and 201 to DIR in all three formats, with random weights and
statistics, and the logits of a small input: some hundred megabytes, for large.test.ts (not committed).
"""

import argparse
import json
import struct
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent / "parity"))
from reference import DenseNet  # noqa: E402

CONFIG = {
    "growthRate": 2, "blockConfig": [1, 1], "initChannels": 4, "bottleneck": True, "bottleneckSize": 2,
    "compression": 0.5, "dropRate": 0, "stem": "imagenet", "inChannels": 3, "numClasses": 5,
}  # fmt: skip

LARGE = {
    "densenet121": (32, [6, 12, 24, 16], 64),
    "densenet161": (48, [6, 12, 36, 24], 96),
    "densenet169": (32, [6, 12, 32, 32], 64),
    "densenet201": (32, [6, 12, 48, 32], 64),
}

DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8",
}  # fmt: skip


# The legacy format stores a module's source and its file's path beside it; a class without a source has neither.
Whole = type("Whole", (nn.Linear,), {"__module__": "__main__"})


def perturb(model: nn.Module) -> None:
    """Moves every weight and statistic off 0 and 1, where a mistake could hide."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("num_batches_tracked"):
                tensor.fill_(7)
            elif name.endswith("running_var"):
                tensor.uniform_(0.5, 2.0)
            elif name.endswith(("running_mean", "bias")):
                tensor.normal_(0, 0.2)
            elif tensor.dim() == 1:
                tensor.uniform_(0.5, 1.5)
            else:
                tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5)


def raw_bytes(tensor: Tensor) -> bytes:
    return tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def save_safetensors(tensors: dict[str, Tensor], path: Path) -> None:
    header, data = {}, []
    position = 0
    for name, tensor in tensors.items():
        raw = raw_bytes(tensor)
        header[name] = {
            "dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [position, position + len(raw)],
        }  # fmt: skip
        position += len(raw)
        data.append(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for raw in data:
            file.write(raw)


def save_legacy(value, path: Path) -> None:
    torch.save(value, path, _use_new_zipfile_serialization=False)


def renamed(state: dict[str, Tensor], rename) -> OrderedDict:
    return OrderedDict((rename(name), tensor) for name, tensor in state.items())


def dotted(name: str) -> str:
    for part in ("norm1", "norm2", "conv1", "conv2"):
        if "denselayer" in name:
            name = name.replace(f".{part}.", f".{part[:-1]}.{part[-1]}.")
    return name


def monai(name: str) -> str:
    if "denselayer" in name:
        head, _, tail = name.partition("denselayer")
        number, _, rest = tail.partition(".")
        name = f"{head}denselayer{number}.layers.{rest}"
    return name.replace("classifier.", "class_layers.out.")


def without_counters(state: dict[str, Tensor]) -> OrderedDict:
    return OrderedDict((name, tensor) for name, tensor in state.items() if not name.endswith("num_batches_tracked"))


def shared(state: dict[str, Tensor]) -> OrderedDict:
    """Every float tensor as a slice of one storage, with something between them; filters and matrices lie transposed."""
    floats = {name: tensor for name, tensor in state.items() if tensor.dtype == torch.float32}
    whole = torch.full((sum(tensor.numel() + 3 for tensor in floats.values()),), -1.0)
    views, position = OrderedDict(), 0
    for name, tensor in state.items():
        if name not in floats:
            views[name] = tensor
            continue
        view = whole[position : position + tensor.numel()].view(tensor.shape[::-1]).permute(*range(tensor.dim())[::-1])
        view.copy_(tensor)
        views[name] = view
        position += tensor.numel() + 3
    return views


def strided(state: dict[str, Tensor]) -> OrderedDict:
    """Matrices transposed, filters channels-last, vectors with every third element, all holding the same values."""
    views = OrderedDict()
    for name, tensor in state.items():
        if tensor.dim() == 4:
            view = torch.empty_like(tensor, memory_format=torch.channels_last).copy_(tensor)
        elif tensor.dim() == 2:
            view = tensor.t().contiguous().t()
        elif tensor.dim() == 1:
            view = torch.full((3 * len(tensor) + 2,), 9.0)[2::3].copy_(tensor)
        else:
            view = tensor
        assert torch.equal(view, tensor)
        views[name] = view
    return views


def training_checkpoint(model: DenseNet, state: OrderedDict) -> dict:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.randn(2, 3, 32, 32)).sum().backward()
    optimizer.step()
    return {
        "epoch": 3, "arch": "densenet121", "best_acc1": np.float64(71.5), "history": np.arange(4), "big": 2**70,
        "args": argparse.Namespace(lr=0.1, schedule=[30, 60], data="imagenet"), "seen": {1, 2}, "note": b"bytes",
        "device": torch.device("cpu"), "dtype": torch.float16, "size": torch.Size([1, 2]),
        "expanded": torch.ones(1).expand(1000), "complex": torch.ones(2, dtype=torch.complex64),
        "optimizer": optimizer.state_dict(), "state_dict": state,
    }  # fmt: skip


def make_small() -> None:
    folder = FOLDER / "fixtures"
    folder.mkdir(exist_ok=True)
    torch.manual_seed(20)
    model = DenseNet(CONFIG)
    perturb(model)
    state = OrderedDict((name, tensor.clone()) for name, tensor in model.state_dict().items())
    model.eval()
    images = torch.randn(2, 3, 12, 9)
    with torch.no_grad():
        logits = model(images)
    grey = images.mean(1, keepdim=True)
    with torch.no_grad():
        grey_logits = model(grey.expand(-1, 3, -1, -1))
    # For four channels by timm's rule: conv over [r, g, b, r'] with the filters r, g, b, r scaled by 3/4.
    four = torch.randn(2, 4, 12, 9)
    adapted = DenseNet({**CONFIG, "inChannels": 4})
    weights = OrderedDict(state)
    weights["features.conv0.weight"] = state["features.conv0.weight"].repeat(1, 2, 1, 1)[:, :4] * (3 / 4)
    adapted.load_state_dict(weights)
    adapted.eval()
    with torch.no_grad():
        four_logits = adapted(four)

    worse = OrderedDict([("classifier.bias", torch.zeros(5))])
    parameters = OrderedDict(
        (name, nn.Parameter(tensor) if tensor.is_floating_point() else tensor) for name, tensor in state.items()
    )
    half = OrderedDict((name, t.half() if t.is_floating_point() else t) for name, t in state.items())
    brain = OrderedDict((name, t.bfloat16() if t.is_floating_point() else t) for name, t in state.items())
    double = OrderedDict((name, t.double() if t.is_floating_point() else t) for name, t in state.items())

    zip_files = {
        "plain": state,
        "shared": shared(state),
        "half": half,
        "ema-first": {"model": worse, "state_dict": worse, "model_ema": worse, "state_dict_ema": parameters},
        "training": training_checkpoint(DenseNet(CONFIG), state),
    }
    legacy_files = {
        "plain-legacy": state,
        "shared-legacy": shared(state),
        "strided-legacy": strided(state),
        "bfloat16-legacy": brain,
        "double-legacy": double,
        "dotted-legacy": renamed(without_counters(state), dotted),
        "dotted-counters-legacy": {"state_dict": renamed(state, lambda name: f"module.{dotted(name)}")},
        "monai-legacy": renamed(state, monai),
        "gpleiss-legacy": renamed(state, lambda name: name.replace("norm5", "norm_final")),
        "compiled-legacy": {"model": renamed(state, lambda name: f"module._orig_mod.{name}")},
        "chexnet-legacy": {"state_dict": renamed(state, lambda name: f"module.densenet121.{name}")},
        "training-legacy": training_checkpoint(DenseNet(CONFIG), state),
    }
    for name, value in zip_files.items():
        torch.save(value, folder / f"{name}.pth")
    for name, value in legacy_files.items():
        save_legacy(value, folder / f"{name}.pth")
    save_safetensors(state, folder / "plain.safetensors")
    save_safetensors(half, folder / "half.safetensors")

    head = OrderedDict((name, tensor) for name, tensor in state.items() if "classifier" in name or "conv0" in name)
    refused = {
        "whole-model": nn.Linear(2, 2),
        "whole-model-inside": {"epoch": 1, "model": nn.Linear(2, 2)},
        "no-state": {"epoch": 1, "weights": [1, 2, 3]},
        "deep-stem": OrderedDict([*head.items(), ("features.conv1.weight", torch.ones(2, 2, 3, 3))]),
        "blur-pool": OrderedDict([*head.items(), ("features.transition1.pool.filt", torch.ones(2, 1, 3, 3))]),
        "twice": OrderedDict([*head.items(), ("module.classifier.bias", torch.ones(5))]),
        "sparse": OrderedDict([*head.items(), ("classifier.bias", torch.ones(5).to_sparse())]),
        "negated": OrderedDict([*head.items(), ("classifier.bias", torch._neg_view(torch.ones(5)))]),
        "expanded": OrderedDict([*head.items(), ("classifier.bias", torch.ones(1).expand(5))]),
    }
    for name, value in refused.items():
        torch.save(value, folder / f"refused-{name}.pth")
    save_legacy(Whole(2, 2), folder / "refused-whole-model-legacy.pth")
    torch.save(head, folder / "refused-protocol4.pth", pickle_protocol=4)
    tiny = OrderedDict([("w", torch.arange(6.0).reshape(2, 3)), ("n", torch.tensor(5))])
    torch.save(tiny, folder / "tiny.pth")
    save_legacy(tiny, folder / "tiny-legacy.pth")
    save_safetensors(tiny, folder / "tiny.safetensors")
    save_safetensors(
        {
            "images": images, "logits": logits, "grey": grey, "grey.logits": grey_logits,
            "four": four, "four.logits": four_logits,
        },
        folder / "expected.safetensors",
    )  # fmt: skip
    (folder / "config.json").write_text(json.dumps({"torch": torch.__version__.split("+")[0], **CONFIG}, indent=2) + "\n")
    total = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{len(list(folder.iterdir()))} files, {total} bytes")


def make_large(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    facts = {}
    for index, (name, (growth, blocks, channels)) in enumerate(LARGE.items()):
        torch.manual_seed(100 + index)
        config = {**CONFIG, "growthRate": growth, "blockConfig": blocks, "initChannels": channels}
        model = DenseNet({**config, "bottleneckSize": 4, "numClasses": 1000})
        perturb(model)
        model.eval()
        images = torch.randn(2, 3, 96, 64)
        with torch.no_grad():
            logits = model(images)
        state = model.state_dict()
        torch.save(state, folder / f"{name}.pth")
        save_legacy(state, folder / f"{name}-legacy.pth")
        save_safetensors(state, folder / f"{name}.safetensors")
        save_safetensors({"images": images, "logits": logits}, folder / f"{name}-expected.safetensors")
        facts[name] = {"parameters": sum(parameter.numel() for parameter in model.parameters()), "entries": len(state)}
        print(name, facts[name])
    (folder / "large.json").write_text(json.dumps(facts, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes checkpoints for the tests of the readers.")
    parser.add_argument("--large", metavar="DIR", type=Path, help="write the four published networks to this folder")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.large is None:
        make_small()
    else:
        make_large(options.large)


if __name__ == "__main__":
    main()

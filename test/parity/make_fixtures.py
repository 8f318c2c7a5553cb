"""Makes the fixtures of the parity tests: run `pip install torch==2.13.0 numpy`, then `python make_fixtures.py`.

For each configuration it writes fixtures/NAME.json (configuration, optimizer, schedule, losses) and
fixtures/NAME.safetensors: `initial.*` (all parameters and buffers), `batch.{0,1}.{input,labels}`, `logits` and `features`
(of batch 0, evaluation mode), `gradient.*` (of batch 0, training mode) and `final.*` (all parameters and buffers after 10
steps). Step i takes batch (i mod 5) mod 2; a schedule moves on after every 5 steps, an epoch. Running it again gives the
same files; `--check` compares instead of writing.
"""

import copy
import json
import struct
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from reference import DenseNet

FOLDER = Path(__file__).parent / "fixtures"
STEPS, STEPS_PER_EPOCH = 10, 5

BASE = {
    "growthRate": 4, "blockConfig": [2, 2], "initChannels": 8, "bottleneck": True, "bottleneckSize": 2,
    "compression": 0.5, "dropRate": 0, "stem": "cifar", "inChannels": 3, "numClasses": 5,
}  # fmt: skip
NESTEROV = {"type": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weightDecay": 1e-4}

# name: (what differs from BASE, [N, H, W], optimizer, schedule)
CASES = {
    "bc-cifar": ({}, [4, 12, 12], NESTEROV, None),
    "plain-cifar": ({"bottleneck": False, "compression": 1.0}, [4, 10, 10], {"type": "sgd", "lr": 0.05}, None),
    "bottleneck-only": ({"compression": 1.0, "inChannels": 1}, [6, 9, 11], {"type": "sgd", "lr": 0.02, "momentum": 0.9}, None),
    "compression-only": ({"bottleneck": False, "compression": 0.6}, [4, 11, 8], NESTEROV, {"type": "step", "stepSize": 1, "gamma": 0.1}),
    "bc-imagenet": ({"stem": "imagenet"}, [3, 33, 29], NESTEROV, {"type": "cosine"}),
    "imagenet-grey": ({"stem": "imagenet", "inChannels": 1, "blockConfig": [1, 2, 1]}, [6, 67, 60], {"type": "adam", "lr": 0.0005, "weightDecay": 0.01}, None),
    "four-channels": ({"inChannels": 4, "blockConfig": [1, 3, 2], "growthRate": 3, "initChannels": 6}, [4, 13, 17], {"type": "adamw", "lr": 0.002, "weightDecay": 0.05}, None),
    "single-block": ({"blockConfig": [4], "growthRate": 5, "bottleneckSize": 4}, [2, 7, 5], NESTEROV, {"type": "cosine", "minLr": 0.01}),
    "imagenet-plain": ({"stem": "imagenet", "bottleneck": False, "compression": 1.0, "blockConfig": [2, 1, 1, 1]}, [4, 97, 70], {"type": "sgd", "lr": 0.01, "momentum": 0.5, "weightDecay": 0.01}, {"type": "step", "stepSize": 2}),
}  # fmt: skip


def make_optimizer(model: DenseNet, options: dict) -> torch.optim.Optimizer:
    common = {"lr": options["lr"], "weight_decay": options.get("weightDecay", 0)}
    if options["type"] == "sgd":
        return torch.optim.SGD(
            model.parameters(), momentum=options.get("momentum", 0), nesterov=options.get("nesterov", False), **common
        )
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[options["type"]]
    return kind(model.parameters(), **common)


def make_schedule(optimizer: torch.optim.Optimizer, options: dict | None):
    schedules = torch.optim.lr_scheduler
    if options is None:
        return schedules.LambdaLR(optimizer, lambda epoch: 1.0)
    if options["type"] == "step":
        return schedules.StepLR(optimizer, options["stepSize"], options.get("gamma", 0.1))
    return schedules.CosineAnnealingLR(optimizer, STEPS // STEPS_PER_EPOCH, options.get("minLr", 0))


def perturb(model: DenseNet) -> None:
    """Moves every weight and statistic off 0 and 1, where a mistake could hide."""
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            tensor.fill_(3)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 2.0)
        elif name.endswith("running_mean") or name.endswith("bias"):
            tensor.normal_(0, 0.2)
        elif tensor.dim() == 1:
            tensor.uniform_(0.5, 1.5)
        else:
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5)


def train(model: DenseNet, batches, optimizer_options: dict, schedule_options: dict | None, after_backward) -> tuple:
    """Ten steps; the loss and the learning rate of each."""
    model.train()
    optimizer = make_optimizer(model, optimizer_options)
    schedule = make_schedule(optimizer, schedule_options)
    losses, rates = [], []
    for step in range(STEPS):
        images, labels = batches[step % STEPS_PER_EPOCH % 2]
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        after_backward(step)
        rates.append(optimizer.param_groups[0]["lr"])
        losses.append(loss.item())
        optimizer.step()
        if (step + 1) % STEPS_PER_EPOCH == 0:
            schedule.step()
    return losses, rates


def relative_difference(a: Tensor, b: Tensor) -> float:
    return ((a.double() - b.double()).abs().max() / b.double().abs().max().clamp(min=1e-30)).item()


def make_case(name: str, seed: int) -> tuple[dict, dict[str, Tensor], str | None]:
    """The facts and tensors of a case, and what makes it no test of anything, if so."""
    changes, (count, height, width), optimizer_options, schedule_options = CASES[name]
    config = {**BASE, **changes}
    torch.manual_seed(seed)
    model = DenseNet(config)
    tensors: dict[str, Tensor] = {}

    def keep(prefix: str, items) -> None:
        for key, tensor in items:
            tensors[f"{prefix}.{key}"] = tensor.detach().clone()

    with torch.no_grad():
        perturb(model)
    keep("initial", model.state_dict().items())
    exact = copy.deepcopy(model).double()
    batches = []
    for number in range(2):
        images = torch.randn(count, config["inChannels"], height, width)
        labels = torch.randint(config["numClasses"], (count,))
        batches.append((images, labels))
        keep(f"batch.{number}", [("input", images), ("labels", labels)])
    model.eval()
    with torch.no_grad():
        tensors["logits"] = model(batches[0][0])
        tensors["features"] = model.features(batches[0][0])

    def keep_first_gradients(step: int) -> None:
        if step == 0:
            keep("gradient", ((key, parameter.grad) for key, parameter in model.named_parameters()))

    losses, rates = train(model, batches, optimizer_options, schedule_options, keep_first_gradients)
    keep("final", model.state_dict().items())

    # Where rounding alone moves gradients or weights this far, agreement would be luck: such a case is no test.
    differences: dict[str, float] = {}

    def compare(prefix: str, items) -> None:
        for key, value in items:
            differences[f"{prefix}.{key}"] = relative_difference(tensors[f"{prefix}.{key}"], value)

    def compare_first_gradients(step: int) -> None:
        if step == 0:
            compare("gradient", ((key, parameter.grad) for key, parameter in exact.named_parameters()))

    doubled = [(images.double(), labels) for images, labels in batches]
    train(exact, doubled, optimizer_options, schedule_options, compare_first_gradients)
    compare("final", exact.state_dict().items())
    worst = max(differences, key=differences.__getitem__)
    fault = None if differences[worst] < 2e-5 else f"single and double precision of {worst} differ by {differences[worst]:.1e}"

    facts = {
        "torch": torch.__version__.split("+")[0], "config": config, "optimizer": optimizer_options,
        "schedule": schedule_options, "stepsPerEpoch": STEPS_PER_EPOCH, "losses": losses, "learningRates": rates, "seed": seed,
    }  # fmt: skip
    return facts, tensors, fault


def make_conditioned_case(index: int, name: str) -> tuple[dict, dict[str, Tensor]]:
    for attempt in range(50):
        facts, tensors, fault = make_case(name, 1000 + index + 100 * attempt)
        if fault is None:
            return facts, tensors
        print(f"{name}, seed {facts['seed']}: ill-conditioned, {fault}")
    raise SystemExit(f"no seed gives {name} numbers that rounding does not decide")


def to_safetensors(tensors: dict[str, Tensor]) -> bytes:
    names = {torch.float32: "F32", torch.int64: "I64"}
    header, data = {}, b""
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        raw = tensor.numpy().tobytes()
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def from_safetensors(raw: bytes) -> dict[str, Tensor]:
    (length,) = struct.unpack("<Q", raw[:8])
    types = {"F32": torch.float32, "I64": torch.int64}
    tensors = {}
    for name, entry in json.loads(raw[8 : 8 + length]).items():
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = torch.frombuffer(bytearray(raw[start:end]), dtype=types[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def check(name: str, tensors: dict[str, Tensor]) -> None:
    committed = from_safetensors((FOLDER / f"{name}.safetensors").read_bytes())
    assert committed.keys() == tensors.keys(), name
    for key, tensor in tensors.items():
        torch.testing.assert_close(committed[key], tensor, rtol=1e-4, atol=1e-5, msg=lambda text: f"{name} {key}: {text}")
    print(f"{name}: as committed")


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    FOLDER.mkdir(exist_ok=True)
    for index, name in enumerate(CASES):
        facts, tensors = make_conditioned_case(index, name)
        if "--check" in sys.argv:
            check(name, tensors)
            continue
        (FOLDER / f"{name}.json").write_text(json.dumps(facts, indent=2) + "\n")
        (FOLDER / f"{name}.safetensors").write_bytes(to_safetensors(tensors))
        print(f"{name}: {len(tensors)} tensors")


if __name__ == "__main__":
    main()

"""Makes the fixtures of the training tests: run `pip install torch==2.13.0 numpy`, then `python make_fixtures.py`.

fixtures/schedules.json.gz: for each schedule the options, and what torch.optim.lr_scheduler makes of a rate at each of
1,000 steps. fixtures/training.{json,safetensors}: a small network (`initial.*`), eleven images with class indices and
with N×classes labels, and for each set of options the losses and the network (`NAME.*`) after four epochs in batches of
4, 4 and 3, in order. Running it again gives the same files; `--check` compares instead of writing.
"""

import copy
import gzip
import json
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent / "parity"))
from make_fixtures import from_safetensors, perturb, relative_difference, to_safetensors  # noqa: E402
from reference import DenseNet  # noqa: E402

FOLDER = Path(__file__).parent / "fixtures"
S = torch.optim.lr_scheduler
STEPS = 1000


# Schedules ------------------------------------------------------------------------------------------------------------


def optimizer_of(lr: float, kind: str = "sgd"):
    parameter = torch.nn.Parameter(torch.zeros(1))
    if kind == "adam":
        return torch.optim.Adam([parameter], lr=lr)
    return torch.optim.SGD([parameter], lr=lr, momentum=0.9)


def warmed(optimizer, main, length: int, start: float, kind: str = "linear"):
    if kind == "linear":
        first = S.LinearLR(optimizer, start, 1.0, length)
    else:
        first = S.ConstantLR(optimizer, start, length)
    return S.SequentialLR(optimizer, [first, main(optimizer)], [length])


# name: (options, rate, the scheduler); stepped once for each of 1,000 intervals
SCHEDULES = {
    "step": ({"type": "step", "stepSize": 30, "gamma": 0.9}, 0.1, lambda o: S.StepLR(o, 30, 0.9)),
    "multistep": ({"type": "multistep", "milestones": [10, 10, 400, 950], "gamma": 0.5}, 0.1, lambda o: S.MultiStepLR(o, [10, 10, 400, 950], 0.5)),
    "exponential": ({"type": "exponential", "gamma": 0.99}, 0.3, lambda o: S.ExponentialLR(o, 0.99)),
    "cosine": ({"type": "cosine", "minLr": 0.001}, 0.1, lambda o: S.CosineAnnealingLR(o, STEPS, 0.001)),
    "cosine, of a length": ({"type": "cosine", "length": 130}, 0.1, lambda o: S.CosineAnnealingLR(o, 130)),
    "restarts": ({"type": "cosineRestarts", "period": 50}, 0.1, lambda o: S.CosineAnnealingWarmRestarts(o, 50)),
    "longer restarts": ({"type": "cosineRestarts", "period": 7, "periodFactor": 3, "minLr": 1e-4}, 0.2, lambda o: S.CosineAnnealingWarmRestarts(o, 7, 3, 1e-4)),
    "polynomial": ({"type": "polynomial"}, 0.1, lambda o: S.PolynomialLR(o, STEPS, 1.0)),
    "polynomial, of a length": ({"type": "polynomial", "length": 600, "power": 0.9}, 0.1, lambda o: S.PolynomialLR(o, 600, 0.9)),
    "onecycle": ({"type": "onecycle"}, 0.1, lambda o: S.OneCycleLR(o, 0.1, STEPS)),
    "onecycle, linear": ({"type": "onecycle", "shape": "linear", "rising": 0.45, "startDivisor": 10, "endDivisor": 100, "lowMomentum": 0.7, "highMomentum": 0.9}, 0.4, lambda o: S.OneCycleLR(o, 0.4, STEPS, pct_start=0.45, anneal_strategy="linear", div_factor=10, final_div_factor=100, base_momentum=0.7, max_momentum=0.9)),
    "onecycle, three phases": ({"type": "onecycle", "threePhases": True}, 0.1, lambda o: S.OneCycleLR(o, 0.1, STEPS, three_phase=True)),
    "onecycle, constant momentum": ({"type": "onecycle", "cycleMomentum": False}, 0.1, lambda o: S.OneCycleLR(o, 0.1, STEPS, cycle_momentum=False)),
    "warm-up, cosine": ({"type": "cosine", "warmup": 50}, 0.1, lambda o: warmed(o, lambda p: S.CosineAnnealingLR(p, STEPS - 50), 50, 1 / 3)),
    "warm-up, step": ({"type": "step", "stepSize": 100, "warmup": {"length": 20, "start": 0.01}}, 0.1, lambda o: warmed(o, lambda p: S.StepLR(p, 100), 20, 0.01)),
    "constant warm-up, exponential": ({"type": "exponential", "gamma": 0.98, "warmup": {"length": 9, "start": 0.1, "type": "constant"}}, 0.1, lambda o: warmed(o, lambda p: S.ExponentialLR(p, 0.98), 9, 0.1, "constant")),
    "warm-up alone": ({"type": "constant", "warmup": {"length": 300, "start": 0.2}}, 0.5, lambda o: S.LinearLR(o, 0.2, 1.0, 300)),
    "warm-up, polynomial": ({"type": "polynomial", "power": 2, "warmup": 100}, 0.1, lambda o: warmed(o, lambda p: S.PolynomialLR(p, STEPS - 100, 2), 100, 1 / 3)),
}  # fmt: skip

# name: (options, the scheduler's arguments)
PLATEAUS = {
    "plateau": ({"type": "plateau"}, {}),
    "plateau, absolute": ({"type": "plateau", "gamma": 0.5, "patience": 3, "threshold": 0.02, "thresholdMode": "absolute", "minLr": 1e-3}, {"factor": 0.5, "patience": 3, "threshold": 0.02, "threshold_mode": "abs", "min_lr": 1e-3}),
    "plateau, cooldown": ({"type": "plateau", "gamma": 0.9, "patience": 2, "threshold": 0.01, "cooldown": 5, "eps": 1e-3}, {"factor": 0.9, "patience": 2, "threshold": 0.01, "cooldown": 5, "eps": 1e-3}),
    "plateau, accuracy": ({"type": "plateau", "gamma": 0.8, "patience": 4, "monitor": "top1"}, {"mode": "max", "factor": 0.8, "patience": 4}),
}  # fmt: skip


def make_schedules() -> dict:
    found = {}
    for name, (options, lr, make) in SCHEDULES.items():
        optimizer = optimizer_of(lr)
        schedule = make(optimizer)
        group = optimizer.param_groups[0]
        rates, momenta = [], []
        for step in range(STEPS):
            rates.append(group["lr"])
            momenta.append(group["momentum"])
            optimizer.step()
            if step + 1 < STEPS:
                schedule.step()
        cycled = len(set(momenta)) > 1
        found[name] = {"options": options, "lr": lr, "learningRate": rates, "momentum": momenta if cycled else []}
    generator = torch.Generator().manual_seed(3)
    noise = torch.rand(STEPS, generator=generator, dtype=torch.float64)
    values = [math.exp(-epoch / 150) + 0.05 * noise[epoch].item() for epoch in range(STEPS)]
    for name, (options, arguments) in PLATEAUS.items():
        optimizer = optimizer_of(0.1)
        schedule = S.ReduceLROnPlateau(optimizer, **arguments)
        seen = [1 - value / 2 for value in values] if arguments.get("mode") == "max" else values
        rates = []
        for value in seen:
            rates.append(optimizer.param_groups[0]["lr"])
            schedule.step(value)
        found[name] = {"options": options, "lr": 0.1, "learningRate": rates, "momentum": [], "values": seen}
    return found


# Training -------------------------------------------------------------------------------------------------------------

CONFIG = {
    "growthRate": 3, "blockConfig": [1, 1], "initChannels": 4, "bottleneck": True, "bottleneckSize": 2, "compression": 0.5,
    "dropRate": 0, "stem": "cifar", "inChannels": 1, "numClasses": 4,
}  # fmt: skip
IMAGES, BATCH, EPOCHS, SEED = 11, 4, 4, 5
SGD = {"type": "sgd", "lr": 0.05, "momentum": 0.9, "weightDecay": 0.01}
WEIGHTS = [0.5, 2.0, 1.0, 3.0]
POSITIVES = [1.0, 4.0, 0.5, 2.0]
BCE = {"type": "binaryCrossEntropy"}

# name: (what is trained on, the trainer's options)
CASES = {
    "sgd": ("index", {"optimizer": {"type": "sgd", "lr": 0.05}}),
    "sgd dampening": ("index", {"optimizer": {**SGD, "dampening": 0.3}}),
    "sgd nesterov": ("index", {"optimizer": {**SGD, "nesterov": True}}),
    "sgd decay of weights": ("index", {"optimizer": {**SGD, "weightDecay": 0.3, "decayNormsAndBiases": False}}),
    "sgd groups": ("index", {"optimizer": {**SGD, "groups": [{"prefix": "classifier", "lr": 0.2, "weightDecay": 0}, {"prefix": "features.denseblock1", "lr": 0.01}]}}),
    "adam": ("index", {"optimizer": {"type": "adam", "lr": 0.01, "weightDecay": 0.1}}),
    "adam amsgrad": ("index", {"optimizer": {"type": "adam", "lr": 0.01, "betas": [0.8, 0.9], "amsgrad": True}}),
    "adamw": ("index", {"optimizer": {"type": "adamw", "lr": 0.01, "weightDecay": 0.2, "eps": 1e-6}}),
    "adamw amsgrad": ("index", {"optimizer": {"type": "adamw", "lr": 0.01, "amsgrad": True, "decayNormsAndBiases": False}}),
    "rmsprop": ("index", {"optimizer": {"type": "rmsprop", "lr": 0.003}}),
    "rmsprop momentum": ("index", {"optimizer": {"type": "rmsprop", "lr": 0.003, "momentum": 0.8, "alpha": 0.9, "weightDecay": 0.1}}),
    "rmsprop centered": ("index", {"optimizer": {"type": "rmsprop", "lr": 0.003, "centered": True, "eps": 1e-3}}),
    "rmsprop centered momentum": ("index", {"optimizer": {"type": "rmsprop", "lr": 0.003, "centered": True, "momentum": 0.5, "eps": 1e-3}}),
    "onecycle": ("index", {"optimizer": SGD, "schedule": {"type": "onecycle"}}),
    "onecycle adam": ("index", {"optimizer": {"type": "adam", "lr": 0.01}, "schedule": {"type": "onecycle"}}),
    "steps": ("index", {"optimizer": SGD, "schedule": {"type": "exponential", "gamma": 0.8, "interval": "step"}}),
    "label smoothing": ("index", {"optimizer": SGD, "labelSmoothing": 0.2}),
    "class weights": ("index", {"optimizer": SGD, "classWeights": WEIGHTS}),
    "class weights smoothing": ("index", {"optimizer": SGD, "classWeights": WEIGHTS, "labelSmoothing": 0.1}),
    "soft targets": ("soft", {"optimizer": SGD}),
    "soft targets weights smoothing": ("soft", {"optimizer": SGD, "classWeights": WEIGHTS, "labelSmoothing": 0.1}),
    "focal": ("index", {"optimizer": SGD, "loss": {"type": "focal", "gamma": 1.5}}),
    "focal weights": ("index", {"optimizer": SGD, "loss": "focal", "classWeights": WEIGHTS}),
    "binary": ("several", {"optimizer": SGD, "loss": BCE}),
    "binary positive weights": ("several", {"optimizer": SGD, "loss": {**BCE, "positiveWeights": POSITIVES}}),
    "binary smoothing": ("several", {"optimizer": SGD, "loss": BCE, "labelSmoothing": 0.1}),
    "binary focal": ("several", {"optimizer": SGD, "loss": {"type": "binaryFocal", "gamma": 1.5, "alpha": 0.3}}),
    "binary focal plain": ("several", {"optimizer": SGD, "loss": {"type": "binaryFocal", "alpha": None}}),
    "mixup": ("index", {"optimizer": SGD, "mixup": 0.4}),
    "cutmix": ("index", {"optimizer": SGD, "cutmix": 1.0, "labelSmoothing": 0.1}),
    "mixup or cutmix": ("index", {"optimizer": SGD, "mixup": 0.4, "cutmix": 1.0}),
    "mixup of several labels": ("several", {"optimizer": SGD, "loss": BCE, "mixup": 0.4}),
    "clip norm": ("index", {"optimizer": SGD, "clipGradNorm": 0.2}),
    "clip value": ("index", {"optimizer": SGD, "clipGradValue": 0.02}),
    "clip both": ("index", {"optimizer": SGD, "clipGradValue": 0.05, "clipGradNorm": 0.1}),
    "accumulate": ("index", {"optimizer": SGD, "accumulate": 2}),
    "accumulate weights": ("index", {"optimizer": SGD, "accumulate": 3, "classWeights": WEIGHTS, "clipGradNorm": 0.5}),
    "ema": ("index", {"optimizer": SGD, "ema": 0.8}),
    "swa": ("index", {"optimizer": SGD, "swa": {"from": 2}}),
    "swa rate": ("index", {"optimizer": SGD, "swa": {"from": 3, "lr": 0.01}, "schedule": {"type": "cosine"}}),
    "bf16": ("index", {"optimizer": SGD, "precision": "bf16"}),
    "fp16": ("index", {"optimizer": SGD, "precision": "fp16", "clipGradNorm": 0.5}),
}  # fmt: skip


def groups_of(model, options: dict) -> list[dict]:
    """Parameters by their rates: the longest prefix decides."""
    lr, decay = options["lr"], options.get("weightDecay", 0.01 if options["type"] == "adamw" else 0)
    groups = []
    for name, parameter in model.named_parameters():
        fitting = [group for group in options.get("groups", []) if name == group["prefix"] or name.startswith(group["prefix"] + ".")]
        own = max(fitting, key=lambda group: len(group["prefix"]), default={})
        own_decay = own.get("weightDecay", decay)
        if parameter.dim() == 1 and not options.get("decayNormsAndBiases", True):
            own_decay = 0
        groups.append({"params": [parameter], "lr": own.get("lr", lr), "weight_decay": own_decay})
    return groups


def make_optimizer(model, options: dict):
    groups, lr = groups_of(model, options), options["lr"]
    if options["type"] == "sgd":
        return torch.optim.SGD(groups, lr, momentum=options.get("momentum", 0), dampening=options.get("dampening", 0), nesterov=options.get("nesterov", False))
    if options["type"] == "rmsprop":
        return torch.optim.RMSprop(groups, lr, alpha=options.get("alpha", 0.99), eps=options.get("eps", 1e-8), momentum=options.get("momentum", 0), centered=options.get("centered", False))
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[options["type"]]
    return kind(groups, lr, betas=tuple(options.get("betas", [0.9, 0.999])), eps=options.get("eps", 1e-8), amsgrad=options.get("amsgrad", False))


def make_schedule(optimizer, options: dict | None, steps: int):
    """The scheduler, and whether it is stepped at every step."""
    if options is None:
        return S.LambdaLR(optimizer, lambda epoch: 1.0), False
    if options["type"] == "onecycle":
        return S.OneCycleLR(optimizer, [group["lr"] for group in optimizer.param_groups], EPOCHS * steps), True
    if options["type"] == "exponential":
        return S.ExponentialLR(optimizer, options["gamma"]), True
    return S.CosineAnnealingLR(optimizer, EPOCHS), False


def loss_sum(options: dict, logits: Tensor, labels: Tensor) -> Tensor:
    loss = options.get("loss", "crossEntropy")
    loss = {"type": loss} if isinstance(loss, str) else loss
    smoothing = options.get("labelSmoothing", 0)
    weights = torch.tensor(options["classWeights"], dtype=logits.dtype) if "classWeights" in options else None
    if loss["type"] == "crossEntropy":
        return F.cross_entropy(logits, labels, weights, reduction="sum", label_smoothing=smoothing)
    if loss["type"] == "focal":
        logarithms = F.log_softmax(logits, 1)
        wanted = F.one_hot(labels, 4).to(logits.dtype) if labels.dim() == 1 else labels
        terms = wanted * (1 - logarithms.exp()) ** loss.get("gamma", 2) * logarithms
        return -(terms if weights is None else terms * weights).sum()
    wanted = labels * (1 - smoothing) + smoothing / 2
    if loss["type"] == "binaryCrossEntropy":
        positives = torch.tensor(loss["positiveWeights"], dtype=logits.dtype) if "positiveWeights" in loss else None
        return F.binary_cross_entropy_with_logits(logits, wanted, pos_weight=positives, reduction="sum")
    # torchvision.ops.sigmoid_focal_loss
    probability = torch.sigmoid(logits)
    terms = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    hit = probability * wanted + (1 - probability) * (1 - wanted)
    terms = terms * (1 - hit) ** loss.get("gamma", 2)
    alpha = loss.get("alpha", 0.25)
    if alpha is not None:
        terms = terms * (alpha * wanted + (1 - alpha) * (1 - wanted))
    return terms.sum()


def loss_weight(options: dict, labels: Tensor) -> float:
    """What a batch counts in the mean."""
    loss = options.get("loss", "crossEntropy")
    kind = loss if isinstance(loss, str) else loss["type"]
    if kind.startswith("binary"):
        return labels.numel()
    if kind == "crossEntropy" and "classWeights" in options and labels.dim() == 1:
        return torch.tensor(options["classWeights"])[labels].sum().item()
    return len(labels)


def mix(options: dict, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """torchvision's MixUp and CutMix, with the draws of the package in their order."""
    mixup, cutmix = options.get("mixup", 0), options.get("cutmix", 0)
    if not mixup and not cutmix:
        return images, labels

    def draw() -> float:
        return torch.rand(1, generator=generator, dtype=torch.float64).item()

    boxes = draw() < 0.5 if mixup and cutmix else bool(cutmix)
    gammas = torch._standard_gamma(torch.full((2,), cutmix if boxes else mixup, dtype=torch.float64), generator=generator)
    share = (gammas[0] / gammas.sum()).item()
    others = images.roll(1, 0)
    if boxes:
        height, width = images.shape[2:]
        radius = 0.5 * math.sqrt(1 - share)
        x, y = int(draw() * width), int(draw() * height)
        left, right = max(x - int(radius * width), 0), min(x + int(radius * width), width)
        top, bottom = max(y - int(radius * height), 0), min(y + int(radius * height), height)
        share = 1 - (right - left) * (bottom - top) / (width * height)
        images = images.clone()
        images[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
    else:
        images = images * share + others * (1 - share)
    rows = F.one_hot(labels, 4).to(images.dtype) if labels.dim() == 1 else labels
    return images, rows * share + rows.roll(1, 0) * (1 - share)


def train(model, images: Tensor, labels: Tensor, options: dict) -> tuple[list[float], dict[str, Tensor]]:
    """The losses of the steps, and what evaluation would use: the average where there is one."""
    accumulate, precision = options.get("accumulate", 1), options.get("precision", "fp32")
    batches = [(images[start : start + BATCH], labels[start : start + BATCH]) for start in range(0, IMAGES, BATCH)]
    groups = [batches[start : start + accumulate] for start in range(0, len(batches), accumulate)]
    optimizer = make_optimizer(model, options["optimizer"])
    schedule, each_step = make_schedule(optimizer, options.get("schedule"), len(groups))
    scaler = torch.amp.GradScaler("cpu", enabled=precision == "fp16")
    half = torch.float16 if precision == "fp16" else torch.bfloat16
    generator = torch.Generator().manual_seed(SEED)
    swa = options.get("swa")
    average = None
    if "ema" in options:
        decay = torch.optim.swa_utils.get_ema_multi_avg_fn(options["ema"])
        average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=decay, use_buffers=True)
    elif swa:
        average = torch.optim.swa_utils.AveragedModel(model)
    losses = []
    for epoch in range(EPOCHS):
        for group in groups:
            model.train()
            mixed = [mix(options, *batch, generator) for batch in group]
            weight = sum(loss_weight(options, batch_labels) for _, batch_labels in mixed)
            optimizer.zero_grad()
            loss = 0.0
            for batch_images, batch_labels in mixed:
                with torch.autocast("cpu", dtype=half, enabled=precision != "fp32"):
                    logits = model(batch_images)
                part = loss_sum(options, logits.float() if precision != "fp32" else logits, batch_labels) / weight
                scaler.scale(part).backward()
                loss += part.item()
            losses.append(loss)
            scaler.unscale_(optimizer)
            if "clipGradValue" in options:
                torch.nn.utils.clip_grad_value_(model.parameters(), options["clipGradValue"])
            if "clipGradNorm" in options:
                torch.nn.utils.clip_grad_norm_(model.parameters(), options["clipGradNorm"])
            if swa and "lr" in swa and epoch + 1 >= swa["from"]:
                for one in optimizer.param_groups:
                    one["lr"] = swa["lr"]
            scaler.step(optimizer)
            scaler.update()
            if "ema" in options:
                average.update_parameters(model)
            if each_step and len(losses) < EPOCHS * len(groups):
                schedule.step()
        if not each_step:
            schedule.step()
        if swa and epoch + 1 >= swa["from"]:
            average.update_parameters(model)
    if swa:
        torch.optim.swa_utils.update_bn([batch for batch, _ in batches], average)
    return losses, (average.module if average else model).state_dict()


def make_training() -> tuple[dict, dict[str, Tensor]]:
    torch.manual_seed(11)
    initial = DenseNet(CONFIG)
    with torch.no_grad():
        perturb(initial)
    images = torch.randn(IMAGES, 1, 6, 6)
    labels = {
        "index": torch.randint(4, (IMAGES,)),
        "soft": torch.rand(IMAGES, 4).softmax(1),
        "several": (torch.rand(IMAGES, 4) < 0.4).float(),
    }
    tensors = {f"initial.{name}": tensor.clone() for name, tensor in initial.state_dict().items()}
    tensors |= {"images": images, "labels.index": labels["index"], "labels.soft": labels["soft"], "labels.several": labels["several"]}
    cases = {}
    for name, (kind, options) in CASES.items():
        model = copy.deepcopy(initial)
        losses, state = train(model, images, labels[kind], options)
        cases[name] = {"labels": kind, "options": {**options, "seed": SEED}, "losses": losses}
        tensors |= {f"{name}.{key}": tensor.detach().clone() for key, tensor in state.items()}
        # Rounding must not decide: the same in double precision.
        if options.get("precision", "fp32") != "fp32":
            continue
        exact = copy.deepcopy(initial).double()
        wanted = labels[kind] if kind == "index" else labels[kind].double()
        _, double = train(exact, images.double(), wanted, options)
        worst = max(relative_difference(state[key], double[key]) for key in double)
        if worst > 3e-5:
            print(f"{name}: single and double precision differ by {worst:.1e}")
    facts = {"torch": torch.__version__.split("+")[0], "config": CONFIG, "epochs": EPOCHS, "batchSize": BATCH, "cases": cases}
    return facts, tensors


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    FOLDER.mkdir(exist_ok=True)
    schedules = json.dumps(make_schedules(), separators=(",", ":")).encode()
    facts, tensors = make_training()
    text, data = json.dumps(facts, indent=1) + "\n", to_safetensors(tensors)
    if "--check" not in sys.argv:
        (FOLDER / "schedules.json.gz").write_bytes(gzip.compress(schedules, 9, mtime=0))
        (FOLDER / "training.json").write_text(text)
        (FOLDER / "training.safetensors").write_bytes(data)
        return
    assert gzip.decompress((FOLDER / "schedules.json.gz").read_bytes()) == schedules, "the schedules differ"
    committed = from_safetensors((FOLDER / "training.safetensors").read_bytes())
    assert committed.keys() == tensors.keys(), "the cases differ"
    worst = max(relative_difference(tensors[name], committed[name]) for name in tensors)
    print(f"the largest relative difference is {worst:.1e}")
    assert worst < 1e-4


if __name__ == "__main__":
    main()

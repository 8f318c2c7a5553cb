"""One contender of the benchmark, in Python: `python contender.py '{"form": "eager", "task": "train", ...}'`.

It makes its model and says so, then does one timed block of steps for each line on its input. Answers are lines of JSON.
"""

import json
import math
import resource
import sys
import time
import warnings
from collections import OrderedDict

import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from torch import Tensor, nn

warnings.filterwarnings("ignore")


class DenseLayer(nn.Module):
    """As torchvision writes it: ReLU in place, and the bottleneck done again in the backward pass where asked."""

    def __init__(self, config: dict, in_channels: int, checkpointed: bool) -> None:
        super().__init__()
        growth = config["growthRate"]
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.checkpointed = checkpointed and config["bottleneck"]
        if config["bottleneck"]:
            width = config["bottleneckSize"] * growth
            self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
            self.norm2 = nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, growth, 3, padding=1, bias=False)
        else:
            self.conv1 = nn.Conv2d(in_channels, growth, 3, padding=1, bias=False)
            self.conv2 = None

    def bottleneck(self, *joined: Tensor) -> Tensor:
        return self.conv1(F.relu(self.norm1(torch.cat(joined, 1)), inplace=True))

    def forward(self, joined: list[Tensor]) -> Tensor:
        if self.checkpointed and torch.is_grad_enabled():
            x = torch.utils.checkpoint.checkpoint(self.bottleneck, *joined, use_reentrant=False)
        else:
            x = self.bottleneck(*joined)
        return x if self.conv2 is None else self.conv2(F.relu(self.norm2(x), inplace=True))


class DenseBlock(nn.ModuleList):
    def forward(self, x: Tensor) -> Tensor:
        joined = [x]
        for layer in self:
            joined.append(layer(joined))
        return torch.cat(joined, 1)


def make_model(config: dict, checkpointed: bool) -> nn.Sequential:
    channels = config["initChannels"]
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if config["stem"] == "imagenet":
        parts["conv0"] = nn.Conv2d(config["inChannels"], channels, 7, stride=2, padding=3, bias=False)
        parts["norm0"], parts["relu0"] = nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
        parts["pool0"] = nn.MaxPool2d(3, stride=2, padding=1)
    else:
        parts["conv0"] = nn.Conv2d(config["inChannels"], channels, 3, padding=1, bias=False)
    growth, blocks = config["growthRate"], config["blockConfig"]
    for index, layers in enumerate(blocks):
        parts[f"block{index}"] = DenseBlock(
            DenseLayer(config, channels + layer * growth, checkpointed) for layer in range(layers)
        )
        channels += layers * growth
        if index + 1 < len(blocks):
            kept = math.floor(channels * config["compression"])
            parts[f"norm_{index}"], parts[f"relu_{index}"] = nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
            parts[f"conv_{index}"] = nn.Conv2d(channels, kept, 1, bias=False)
            parts[f"pool_{index}"] = nn.AvgPool2d(2)
            channels = kept
    parts["norm5"], parts["relu5"] = nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
    parts["pool5"], parts["flat"] = nn.AdaptiveAvgPool2d(1), nn.Flatten()
    parts["classifier"] = nn.Linear(channels, config["numClasses"])
    return nn.Sequential(parts)


HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, dtype=HALF.get(precision, torch.bfloat16), enabled=precision in HALF)


def training_step(model: nn.Module, images: Tensor, labels: Tensor, options: dict):
    """On a GPU the images are bytes in page-locked memory, as a loader leaves them, and each step brings its own over."""
    device, precision = labels.device, options["precision"]
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, fused=True)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
    layout = torch.channels_last if options["form"] != "eager" else torch.contiguous_format

    def batch() -> Tensor:
        if device.type == "cpu":
            return images
        return images.to(device, non_blocking=True).to(torch.float32, memory_format=layout).div_(255)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast(device, precision):
            loss = F.cross_entropy(model(batch()), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        loss.item()  # a trainer looks at its loss, ours too

    return step


def inference_step(model: nn.Module, images: Tensor, options: dict):
    form = options["form"]
    if form == "frozen":
        frozen = torch.jit.freeze(torch.jit.trace(model, images))
        return lambda: frozen(images)
    if form == "openvino":
        import openvino

        core = openvino.Core()
        compiled = core.compile_model(
            options["onnx"],
            "CPU",
            {
                "INFERENCE_NUM_THREADS": options["threads"],
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": "f32",
            },
        )
        request, array = compiled.create_infer_request(), images.contiguous().numpy()
        return lambda: request.infer([array])

    def step() -> Tensor:
        with autocast(images.device, options["precision"]):
            return model(images)

    return step


def main() -> None:
    options = json.loads(sys.argv[1])
    form, training = options["form"], options["task"] == "train"
    torch.set_num_threads(options["threads"])
    torch.manual_seed(0)
    if options["device"].startswith("cuda"):
        torch.backends.cudnn.benchmark = True
    device = torch.device(options["device"])
    layout = torch.contiguous_format if form in ("eager", "openvino", "export") else torch.channels_last
    model = make_model(options["config"], form == "checkpointed").to(device, memory_format=layout)
    shape = (options["batch"], options["config"]["inChannels"], options["size"], options["size"])
    if training and device.type == "cuda":
        images = torch.randint(0, 256, shape, dtype=torch.uint8).pin_memory()
    else:
        images = torch.rand(shape, device=device).contiguous(memory_format=layout)
    labels = torch.arange(options["batch"], device=device) % options["config"]["numClasses"]
    model.train(training)
    torch.set_grad_enabled(training)
    if form == "export":
        torch.onnx.export(model, (images,), options["onnx"], dynamo=False)
        return
    resting = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run = torch.compile(model) if form == "compiled" else model
    started = time.perf_counter()
    step = training_step(run, images, labels, options) if training else inference_step(run, images, options)
    step()
    first = time.perf_counter() - started
    for _ in range(1 if device.type == "cpu" else 8):
        step()
    version = f"PyTorch {torch.__version__}"
    if form == "openvino":
        import openvino

        version = f"OpenVINO {openvino.__version__.split('-')[0]}"
    print(json.dumps({"ready": version, "first": first}), flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            started = time.perf_counter()
            step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - started)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resting
        print(json.dumps({"times": times, "peak": peak * 1024}), flush=True)


main()

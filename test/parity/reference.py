"""DenseNet in plain PyTorch, by the paper's parts, with torchvision's parameter names: what the fixtures come from.

Huang et al., "Densely Connected Convolutional Networks" (2017). It is written for reading, not for speed.
"""

import math
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DenseLayer(nn.Module):
    """H_l of section 3: BN-ReLU-conv1x1-BN-ReLU-conv3x3, or BN-ReLU-conv3x3 without the bottleneck."""

    def __init__(self, config: dict, in_channels: int) -> None:
        super().__init__()
        growth = config["growthRate"]
        self.norm1 = nn.BatchNorm2d(in_channels)
        if config["bottleneck"]:
            width = config["bottleneckSize"] * growth
            self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
            self.norm2 = nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, growth, 3, padding=1, bias=False)
        else:
            self.conv1 = nn.Conv2d(in_channels, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(F.relu(self.norm1(x)))
        return self.conv2(F.relu(self.norm2(x))) if hasattr(self, "conv2") else x


class DenseBlock(nn.Module):
    """Every layer reads the input and all outputs before it; the result is all of them joined (equation 2)."""

    def __init__(self, config: dict, layers: int, in_channels: int) -> None:
        super().__init__()
        for index in range(layers):
            channels = in_channels + index * config["growthRate"]
            self.add_module(f"denselayer{index + 1}", DenseLayer(config, channels))

    def forward(self, x: Tensor) -> Tensor:
        joined = [x]
        for layer in self.children():
            joined.append(layer(torch.cat(joined, 1)))
        return torch.cat(joined, 1)


class Transition(nn.Module):
    """BN-ReLU-conv1x1 to floor(theta C) channels, then 2x2 average pooling."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv(F.relu(self.norm(x))), 2)


class DenseNet(nn.Module):
    def __init__(self, config: dict) -> None:
        super().__init__()
        channels = config["initChannels"]
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        if config["stem"] == "imagenet":
            parts["conv0"] = nn.Conv2d(config["inChannels"], channels, 7, stride=2, padding=3, bias=False)
            parts["norm0"] = nn.BatchNorm2d(channels)
            parts["relu0"] = nn.ReLU()
            parts["pool0"] = nn.MaxPool2d(3, stride=2, padding=1)
        else:
            parts["conv0"] = nn.Conv2d(config["inChannels"], channels, 3, padding=1, bias=False)
        blocks = config["blockConfig"]
        for index, layers in enumerate(blocks):
            parts[f"denseblock{index + 1}"] = DenseBlock(config, layers, channels)
            channels += layers * config["growthRate"]
            if index + 1 < len(blocks):
                kept = math.floor(channels * config["compression"])
                parts[f"transition{index + 1}"] = Transition(channels, kept)
                channels = kept
        parts["norm5"] = nn.BatchNorm2d(channels)
        self.features = nn.Sequential(parts)
        self.classifier = nn.Linear(channels, config["numClasses"])

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(F.relu(self.features(x)).mean((2, 3)))

"""Writes fixtures/pictures.json: pictures that PyTorch resized and cropped, for pictures.test.ts.

    python test/unit/make_picture_fixtures.py

Needs torch 2.13 alone. Pictures are resized as float by torch.nn.functional.interpolate(antialias=True), the middle is cut out
by torchvision's rule, and the result is clamped and rounded. The source pictures are not stored: a formula makes them here and in the test.
"""

import base64
import json
from pathlib import Path

import torch
import torch.nn.functional as functional

# name, channels, [height, width] of the source, imageSize, resizeSize, interpolation
CASES = [
    ("shrunk, and its middle cut out", 3, (80, 100), (28, 28), 32, "bilinear"),
    ("upright, shrunk and cut", 3, (100, 80), (28, 28), 32, "bilinear"),
    ("shrunk by bicubic interpolation", 3, (80, 100), (28, 28), 32, "bicubic"),
    ("enlarged", 3, (11, 17), (24, 24), 28, "bilinear"),
    ("enlarged by bicubic interpolation", 3, (11, 17), (24, 24), 28, "bicubic"),
    ("of odd lengths, an odd border cut off", 3, (61, 47), (21, 20), 25, "bilinear"),
    ("of odd lengths by bicubic interpolation", 1, (61, 47), (20, 21), 25, "bicubic"),
    ("grey", 1, (33, 90), (16, 30), 16, "bilinear"),
    ("stretched to a shape of its own", 3, (50, 70), (24, 20), None, "bilinear"),
    ("stretched by bicubic interpolation", 1, (50, 70), (31, 9), None, "bicubic"),
    ("cut larger than it became, with black around", 3, (40, 60), (20, 33), 16, "bilinear"),
    ("very long", 1, (5, 150), (10, 10), 10, "bilinear"),
]


def source(channels: int, height: int, width: int) -> torch.Tensor:
    """Slopes, curves and sharp edges, channels x height x width; the test has the same formula."""
    c = torch.arange(channels).view(-1, 1, 1)
    y = torch.arange(height).view(1, -1, 1)
    x = torch.arange(width).view(1, 1, -1)
    return ((3 * x * x + 7 * y * (c + 1) + 5 * x * y + 90 * c) // 4 % 256).to(torch.uint8)


def resize(image: torch.Tensor, size: tuple[int, int], interpolation: str) -> torch.Tensor:
    return functional.interpolate(image, size=size, mode=interpolation, align_corners=False, antialias=True)


def shorter_side(image: torch.Tensor, length: int, interpolation: str) -> torch.Tensor:
    height, width = image.shape[2:]
    long = int(length * max(height, width) / min(height, width))
    return resize(image, (length, long) if height <= width else (long, length), interpolation)


def middle(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """torchvision.transforms.functional.center_crop."""
    missing_y, missing_x = max(height - image.shape[2], 0), max(width - image.shape[3], 0)
    padding = [missing_x // 2, (missing_x + 1) // 2, missing_y // 2, (missing_y + 1) // 2]
    image = functional.pad(image, padding)
    top = int(round((image.shape[2] - height) / 2.0))
    left = int(round((image.shape[3] - width) / 2.0))
    return image[:, :, top : top + height, left : left + width]


def expected(pixels: torch.Tensor, size: tuple[int, int], resize_size: int | None, interpolation: str) -> torch.Tensor:
    image = pixels.to(torch.float32).unsqueeze(0)
    if resize_size is None:
        image = resize(image, size, interpolation)
    else:
        image = middle(shorter_side(image, resize_size, interpolation), *size)
    return image.squeeze(0).clamp(0, 255).round().to(torch.uint8)


def main() -> None:
    cases = []
    for name, channels, shape, size, resize_size, interpolation in CASES:
        result = expected(source(channels, *shape), size, resize_size, interpolation)
        assert tuple(result.shape) == (channels, *size)
        cases.append(
            {
                "name": name,
                "channels": channels,
                "source": list(shape),
                "size": list(size),
                "resizeSize": resize_size,
                "interpolation": interpolation,
                "expected": base64.b64encode(bytes(result.flatten().tolist())).decode(),
            }
        )
    folder = Path(__file__).parent / "fixtures"
    folder.mkdir(exist_ok=True)
    text = json.dumps({"torch": torch.__version__.split("+")[0], "cases": cases}, indent=2)
    (folder / "pictures.json").write_text(text + "\n")


if __name__ == "__main__":
    main()

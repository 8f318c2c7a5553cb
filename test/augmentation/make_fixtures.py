"""Writes fixtures/augmentation.json: what torchvision's functional transforms make of small images.

    python test/augmentation/make_fixtures.py    (torch, torchvision, pillow)

Only torchvision's Python is used, never its compiled operators, so that a build for another device serves.
"""

import base64
import importlib.metadata
import importlib.util
import json
import sys
import types
from pathlib import Path

import torch

# The package's own __init__ registers the compiled operators, which may not load.
spec = importlib.util.find_spec("torchvision")
package = types.ModuleType("torchvision")
package.__path__ = list(spec.submodule_search_locations)
sys.modules["torchvision"] = package

import torchvision.transforms.functional as F  # noqa: E402
from torchvision.transforms import autoaugment  # noqa: E402
from torchvision.transforms.functional import InterpolationMode  # noqa: E402

OUT = Path(__file__).parent / "fixtures"


def image(channels: int, height: int, width: int) -> torch.Tensor:
    """Slopes, curves and sharp edges; the test has the same formula."""
    c, y, x = torch.meshgrid(torch.arange(channels), torch.arange(height), torch.arange(width), indexing="ij")
    return ((3 * x * x + 7 * y * (c + 1) + 5 * x * y + 90 * c + 40 * (x // 3)) % 256).to(torch.uint8)


def encode(tensor: torch.Tensor) -> dict:
    kind = "uint8" if tensor.dtype == torch.uint8 else "float32"
    data = tensor.contiguous().numpy().tobytes()
    return {"dtype": kind, "shape": list(tensor.shape), "data": base64.b64encode(data).decode()}


def operations() -> list[dict]:
    """Each operation of RandAugment at a weak and a strong magnitude, both ways, through torchvision's own dispatcher."""
    names = {
        "ShearX": ("shearX", [0.1, -0.3, 0.99]),
        "ShearY": ("shearY", [0.1, -0.3, 0.99]),
        "TranslateX": ("translateX", [3.0, -5.7, 20.0]),
        "TranslateY": ("translateY", [3.0, -5.7, 20.0]),
        "Rotate": ("rotate", [7.0, -30.0, 135.0]),
        "Brightness": ("brightness", [0.3, -0.4, 0.99]),
        "Color": ("color", [0.3, -0.4, 0.99]),
        "Contrast": ("contrast", [0.3, -0.4, 0.99]),
        "Sharpness": ("sharpness", [0.3, -0.4, 0.99]),
        "Posterize": ("posterize", [2, 4, 8]),
        "Solarize": ("solarize", [0.0, 100.0, 255.0]),
        "AutoContrast": ("autoContrast", [0.0]),
        "Equalize": ("equalize", [0.0]),
    }
    cases = []
    for channels, height, width in [(3, 13, 10), (1, 8, 8), (3, 2, 5)]:
        source = image(channels, height, width)
        for name, (ours, magnitudes) in names.items():
            for magnitude in magnitudes:
                result = autoaugment._apply_op(source, name, magnitude, InterpolationMode.NEAREST, None)
                cases.append(case(ours, magnitude, source, result))
                if name in ("Brightness", "Color", "Contrast", "Sharpness"):
                    floats = source.float() / 255
                    result = autoaugment._apply_op(floats, name, magnitude, InterpolationMode.NEAREST, None)
                    cases.append(case(ours, magnitude, floats, result))
    return cases


def case(operation: str, magnitude: float, source: torch.Tensor, result: torch.Tensor) -> dict:
    name = f"{operation} {magnitude} of {'x'.join(map(str, source.shape))} {str(source.dtype)[6:]}"
    return {"name": name, "operation": operation, "magnitude": magnitude, "expected": encode(result)}


def hues() -> list[dict]:
    """What a colour jitter of this hue alone makes of an image."""
    cases = []
    for hue in (-0.5, -0.2, 0.07, 0.5):
        for source in (image(3, 13, 10), image(3, 13, 10).float() / 255, image(1, 8, 8)):
            cases.append({"hue": hue, "expected": encode(F.adjust_hue(source, hue))})
    return cases


def jitters() -> list[dict]:
    """Two factors, in the two orders that they may be made in."""
    source = image(3, 13, 10)
    one = F.adjust_contrast(F.adjust_brightness(source, 1.4), 0.5)
    other = F.adjust_brightness(F.adjust_contrast(source, 0.5), 1.4)
    return [{"brightness": 1.4, "contrast": 0.5, "expected": [encode(one), encode(other)]}]


def affines() -> list[dict]:
    """Fixed angle, scale and slant about the centre, bilinear."""
    cases = []
    for scale in (0.6, 1.0, 1.7):
        for source in (image(3, 13, 10), image(1, 8, 8).float() / 255):
            result = F.affine(source, 0.0, [0, 0], scale, [0.0, 0.0], InterpolationMode.BILINEAR)
            cases.append({"scale": scale, "expected": encode(result)})
    return cases


def resized_crops() -> list[dict]:
    """Every place that a rectangle of this size can have."""
    cases = []
    for height, width, cut, size, interpolation in [
        (9, 9, (6, 6), (4, 4), "bilinear"),
        (9, 9, (3, 3), (8, 5), "bilinear"),
        (8, 12, (4, 8), (6, 6), "bicubic"),
    ]:
        source = image(1, height, width)
        mode = InterpolationMode(interpolation)
        results = [
            F.resized_crop(source, top, left, cut[0], cut[1], list(size), mode, antialias=True)
            for top in range(height - cut[0] + 1)
            for left in range(width - cut[1] + 1)
        ]
        share = cut[0] * cut[1] / (height * width)
        cases.append(
            {
                "source": [height, width],
                "scale": share,
                "ratio": cut[1] / cut[0],
                "size": list(size),
                "interpolation": interpolation,
                "expected": encode(torch.stack(results)),
            }
        )
    return cases


def spaces() -> dict:
    """The strengths of every operation, bin by bin."""
    rand = autoaugment.RandAugment()._augmentation_space(31, (40, 60))
    wide = autoaugment.TrivialAugmentWide()._augmentation_space(31)
    show = lambda space: {name: [values.tolist(), signed] for name, (values, signed) in space.items()}  # noqa: E731
    return {"randAugment": show(rand), "trivialAugment": show(wide)}


def main() -> None:
    OUT.mkdir(exist_ok=True)
    fixtures = {
        "torch": torch.__version__.split("+")[0],
        "torchvision": importlib.metadata.version("torchvision"),
        "operations": operations(),
        "hues": hues(),
        "jitters": jitters(),
        "affines": affines(),
        "resizedCrops": resized_crops(),
        "spaces": spaces(),
    }
    text = json.dumps(fixtures, separators=(",", ":")) + "\n"
    (OUT / "augmentation.json").write_text(text)
    print(f"{len(text)} bytes")


if __name__ == "__main__":
    main()

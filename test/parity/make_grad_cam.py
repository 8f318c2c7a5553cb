"""Writes fixtures/grad-cam/NAME.json: Grad-CAM in plain PyTorch, of the networks and images of the other fixtures.

    python test/parity/make_grad_cam.py    (torch 2.13 and numpy)

Selvaraju et al., "Grad-CAM" (2017), equations 1 and 2, by hooks as everybody writes it.
"""

import json
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F

from reference import DenseNet

FOLDER = Path(__file__).parent / "fixtures"
CASES = {"bc-cifar": ["relu5", "norm5", "denseblock1", "transition1"], "bc-imagenet": ["relu5", "denseblock2", "pool0"]}


def read(name: str) -> dict[str, torch.Tensor]:
    """A safetensors file, by hand."""
    data = (FOLDER / f"{name}.safetensors").read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    tensors = {}
    for key, one in header.items():
        start, end = one["data_offsets"]
        kind = numpy.int64 if one["dtype"] == "I64" else numpy.float32
        values = numpy.frombuffer(data[8 + size + start : 8 + size + end], kind)
        tensors[key] = torch.from_numpy(values.copy()).view(one["shape"])
    return tensors


def grad_cam(model: DenseNet, images: torch.Tensor, layer: str, classes: torch.Tensor | None):
    kept: dict[str, torch.Tensor] = {}

    def keep(module, inputs, output):
        output.retain_grad()
        kept["output"] = output

    hook = None if layer == "relu5" else getattr(model.features, layer).register_forward_hook(keep)
    features = model.features(images)
    activated = F.relu(features)
    if layer == "relu5":
        keep(None, None, activated)
    logits = model.classifier(activated.mean((2, 3)))
    chosen = logits.argmax(1) if classes is None else classes
    model.zero_grad()
    logits.gather(1, chosen[:, None]).sum().backward()
    if hook:
        hook.remove()
    activation, gradient = kept["output"], kept["output"].grad
    weights = gradient.mean((2, 3), keepdim=True)
    return F.relu((weights * activation).sum(1)).detach(), chosen


def main() -> None:
    (FOLDER / "grad-cam").mkdir(exist_ok=True)
    for name, layers in CASES.items():
        tensors = read(name)
        config = json.loads((FOLDER / f"{name}.json").read_text())["config"]
        model = DenseNet(config)
        state = {key[8:]: tensor for key, tensor in tensors.items() if key.startswith("initial.")}
        model.load_state_dict(state)
        model.eval()
        images = tensors["batch.0.input"]
        cases = []
        for layer in layers:
            for classes in (None, torch.arange(len(images)) % config["numClasses"]):
                maps, chosen = grad_cam(model, images, layer, classes)
                grown = F.interpolate(maps[:, None], images.shape[2:], mode="bilinear", align_corners=False)[:, 0]
                cases.append(
                    {
                        "layer": layer,
                        "given": classes is not None,
                        "classes": chosen.tolist(),
                        "maps": [[f"{value:.7g}" for value in one.flatten().tolist()] for one in maps],
                        "sums": [f"{one.sum().item():.7g}" for one in grown],
                    }
                )
        (FOLDER / "grad-cam" / f"{name}.json").write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()

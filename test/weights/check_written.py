"""Checks a file that this package wrote against a reference, with PyTorch: `python check_written.py FILE REFERENCE`.

Needs `pip install torch==2.13.0 numpy`. FILE is a .pth or a .safetensors, REFERENCE a .pth of torch itself. Names, order,
types, shapes and every bit of every tensor must agree, and torch must read the .pth with `weights_only=True`, mapped into
memory as well. `--copy PATH` saves what was read with torch.save, to be read back in Node.
"""

import argparse
import json
import struct
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}


def read_safetensors(path: Path) -> "OrderedDict[str, Tensor]":
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    tensors = OrderedDict()
    for name, entry in json.loads(raw[8 : 8 + length]).items():
        if name == "__metadata__":
            continue
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        flat = torch.frombuffer(bytearray(raw[start:end]), dtype=DTYPES[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"])
    return tensors


def read_torch(path: Path) -> "OrderedDict[str, Tensor]":
    assert zipfile.ZipFile(path).testzip() is None, "a checksum of the archive is wrong"
    tensors = torch.load(path, weights_only=True)
    assert isinstance(tensors, OrderedDict), type(tensors)
    mapped = torch.load(path, weights_only=True, mmap=True)
    assert all(torch.equal(mapped[name], tensor) for name, tensor in tensors.items())
    assert all(tensor.data_ptr() % 64 == 0 for tensor in mapped.values()), "a tensor is not aligned"
    return tensors


def bits(tensor: Tensor) -> bytes:
    return tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("--copy", type=Path)
    options = parser.parse_args()
    read = read_safetensors if options.file.suffix == ".safetensors" else read_torch
    found = read(options.file)
    expected = torch.load(options.reference, weights_only=True)
    assert list(found) == list(expected), sorted(set(found) ^ set(expected)) or "the order differs"
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape, name
        assert bits(found[name]) == bits(tensor), f"{name} differs"
    if options.copy is not None:
        torch.save(found, options.copy)
    print(f"{len(found)} tensors, the same to the bit")


if __name__ == "__main__":
    sys.exit(main())

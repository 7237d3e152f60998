"""Reads an exported run with PyTorch and numpy alone: `read_export.py FOLDER DATA_SET_FOLDER IMAGES OUT`.

Writes OUT/torch-features.npy, OUT/torch-embedding.npy, OUT/state.npz and OUT/arrays.json.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy
import torch
from contrastive_models import contrastive_model, normalised


def main():
    folder, images, out = (Path(argument) for argument in sys.argv[1:4])
    report = json.loads((folder / "report.json").read_text())
    architecture = report["model"]["architecture"]
    mean, deviation = (report["model"]["normalisation"][key] for key in ("mean", "std"))

    state = torch.load(folder / "pretext" / "model.pth.tar", map_location="cpu", weights_only=True)
    model = contrastive_model(architecture["width"], architecture["featureDim"], architecture["form"])
    model.load_state_dict(state, strict=True)
    model.eval()
    batch = normalised(numpy.load(images), mean, deviation)
    with torch.no_grad():
        numpy.save(out / "torch-features.npy", model.backbone(batch).numpy())
        numpy.save(out / "torch-embedding.npy", model(batch).numpy())
    numpy.savez(out / "state.npz", **{name: tensor.numpy() for name, tensor in state.items()})

    # The reference's own way on from a checkpoint: model, optimizer, epoch; then a step.
    checkpoint = torch.load(folder / "pretext" / "checkpoint.pth.tar", map_location="cpu", weights_only=True)
    model.load_state_dict(checkpoint["model"], strict=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.4)
    optimizer.load_state_dict(checkpoint["optimizer"])
    buffers = [optimizer.state[parameter]["momentum_buffer"] for parameter in model.parameters()]
    for parameter, buffer in zip(model.parameters(), buffers, strict=True):
        assert parameter.shape == buffer.shape, (parameter.shape, buffer.shape)
    model.train()
    model(batch[:8]).square().sum().backward()
    optimizer.step()

    arrays = {}
    for path in sorted(folder.rglob("*.npy")):
        array = numpy.load(path)
        content = hashlib.sha256(numpy.ascontiguousarray(array).tobytes()).hexdigest()
        arrays[str(path.relative_to(folder))] = {"dtype": array.dtype.str, "shape": array.shape, "sha256": content}
    group = optimizer.param_groups[0]
    facts = {
        "arrays": arrays,
        "epoch": checkpoint["epoch"],
        "lr": group["lr"],
        "momentum": group["momentum"],
        "weight_decay": group["weight_decay"],
        "momentum_norm": float(torch.cat([buffer.flatten() for buffer in buffers]).norm()),
        "versions": {"torch": torch.__version__, "numpy": numpy.__version__},
    }
    (out / "arrays.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main()

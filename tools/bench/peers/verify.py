"""Checks the peers' network, loss and SGD against the recorded reference numbers: `verify.py GOLDEN_FOLDER`."""

import json
import sys
from pathlib import Path

import numpy
import torch

from contrastive_loss import contrastive_loss
from network import ContrastiveNetwork
from training import Training

# A few images and a high learning rate multiply rounding differences: the same network in float64 is 8e-4 (step 2)
# and 3e-2 (step 3) away from the float32 record, so later steps can only be held to this.
ROUNDING_GROWTH = (1e-3, 1e-3, 1e-2, 1e-1)


def formula_state(description, neutral_statistics=False):
    """The state dict that model-*.json describes by its formula."""
    state = {}
    for position, tensor in enumerate(description["tensors"]):
        shape, name = tensor["shape"], tensor["name"]
        if tensor["kind"] == "zero":
            state[name] = torch.zeros(shape, dtype=torch.int64)
            continue
        if neutral_statistics and name.endswith(("running_mean", "running_var")):
            state[name] = torch.full(shape, 1.0 if name.endswith("var") else 0.0)
            continue
        index = numpy.arange(numpy.prod(shape), dtype=numpy.float64)
        wave = numpy.sin((index + 1) * 12.9898 + (position + 1 + description["salt"]) * 78.233) * 43758.5453
        values = (wave - numpy.floor(wave) - 0.5) * tensor["scale"] + tensor["offset"]
        state[name] = torch.from_numpy(values.astype(numpy.float32).reshape(shape))
    return state


def normalised(images, description):
    """uint8 [..., h, w, 3] as normalised float32 [n, 3, h, w]."""
    values = torch.from_numpy(images).flatten(0, -4).permute(0, 3, 1, 2).float() / 255
    mean, deviation = (torch.tensor(description[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    return (values - mean) / deviation


def main():
    golden = Path(sys.argv[1])
    read = lambda name: json.loads((golden / name).read_text())
    load = lambda name: numpy.load(golden / name)
    failures = 0

    def check(label, difference, allowed):
        nonlocal failures
        failures += difference > allowed
        print(f"{'ok  ' if difference <= allowed else 'FAIL'} {label}: {difference:.2e} (allowed {allowed:.0e})")

    for case in read("simclr-loss.json"):
        features = torch.from_numpy(load(f"simclr-loss-{case['case']}-features.npy")).requires_grad_()
        shaped = features if features.dim() == 3 else features.view(case["batch"], 2, -1)
        loss = contrastive_loss(shaped, case["temperature"])
        loss.backward()
        check(f"loss {case['case']}", abs(loss.item() - case["loss"]), 1e-5 * max(1.0, case["loss"]))
        gradient = torch.from_numpy(load(f"simclr-loss-{case['case']}-grad.npy")).view_as(features)
        check(f"loss gradient {case['case']}", (features.grad - gradient).abs().max().item(), 1e-5)

    description = read("model-resnet18-cifar.json")
    width = description["tensors"][0]["shape"][0]
    network = ContrastiveNetwork(width).eval()
    names = [tensor["name"] for tensor in description["tensors"]]
    check("parameter names and order", float(list(network.state_dict()) != names), 0)
    network.load_state_dict(formula_state(description))
    with torch.no_grad():
        features = network(normalised(load("model-resnet18-cifar-images.npy"), description))
    check("eval features", (features - torch.from_numpy(load("model-resnet18-cifar-eval-features.npy"))).abs().max().item(), 1e-4)

    trajectory = read("trajectory.json")
    for layout in ("nchw", "channels_last"):
        training = Training(width, layout, learning_rate=0.05)
        training.network.load_state_dict(formula_state(description, neutral_statistics=True))
        for step, (views, expected) in enumerate(zip(load("trajectory-views.npy"), trajectory["losses"])):
            loss = training.step(normalised(views, description))
            check(f"trajectory {layout} step {step}", abs(loss / expected - 1), ROUNDING_GROWTH[step])
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()

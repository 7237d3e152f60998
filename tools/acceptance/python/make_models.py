"""Makes PyTorch files of random weights as others publish them: `make_models.py IMAGES_32 IMAGES_96 IMAGES_224 OUT`.

For each, OUT/<name>.pth and the features that PyTorch gives: OUT/<name>-features.npy, OUT/<name>-embedding.npy.
"""

import sys
from pathlib import Path

import numpy
import torch
from contrastive_models import NumberedModel, contrastive_model, normalised, randomise
from torch import nn
from torchvision.models import resnet18

CIFAR = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def main():
    images, stl_images, large_images, out = (Path(argument) for argument in sys.argv[1:5])
    small = normalised(numpy.load(images), *CIFAR)
    middle = normalised(numpy.load(stl_images), *IMAGENET)
    large = normalised(numpy.load(large_images), *IMAGENET)

    def save(name, content, features, embedding):
        torch.save(content, out / f"{name}.pth")
        numpy.save(out / f"{name}-features.npy", features.numpy())
        numpy.save(out / f"{name}-embedding.npy", embedding.numpy())

    with torch.no_grad():
        # The reference's checkpoint of the paper's network, and its final file for STL-10.
        model = randomise(contrastive_model(64, 128), 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.4, momentum=0.9, weight_decay=1e-4)
        content = {"optimizer": optimizer.state_dict(), "model": model.state_dict(), "epoch": 500}
        save("reference", content, model.backbone(small), model(small))
        model = randomise(contrastive_model(16, 64, "stl"), 2)
        save("stl", model.state_dict(), model.backbone(middle), model(middle))

        # DataParallel, whole.
        model = randomise(contrastive_model(16, 128), 3)
        save("parallel", {"state_dict": nn.DataParallel(model).state_dict()}, model.backbone(small), model(small))

        # lightly's layout, BatchNorm in the head.
        model = randomise(NumberedModel(16, 128), 4)
        save("numbered", {"state_dict": model.state_dict()}, model.features(small), model(small))

        # torchvision's network with the stem that is usual for small images; no projection head.
        model = resnet18()
        model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        model.maxpool = nn.Identity()
        randomise(model, 5)
        state = model.state_dict()
        model.fc = nn.Identity()
        save("torchvision", state, model(small), nn.functional.normalize(model(small), dim=1))

        # torchvision's network as it is.
        model = randomise(resnet18(), 6)
        state = model.state_dict()
        model.fc = nn.Identity()
        save("imagenet", state, model(large), nn.functional.normalize(model(large), dim=1))

        # A whole module needs its code to be read: not taken.
        torch.save(contrastive_model(16, 128), out / "module.pth")


if __name__ == "__main__":
    main()

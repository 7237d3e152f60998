"""The reference's ContrastiveModel and others' ResNet-18s, from the papers (He et al. 2016; Chen et al. 2020), in plain PyTorch.

`network` is that of tools/bench/peers, which is on the path.
"""

import torch
from network import Backbone, ContrastiveNetwork
from torch import nn
from torch.nn import functional


class StlBackbone(Backbone):
    """The form for 96x96 images: a 2x2 max-pool with a padding of 1 after the stem; the last map is 7x7."""

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.max_pool2d(x, kernel_size=2, stride=2, padding=1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return torch.flatten(functional.avg_pool2d(x, 7), 1)


def contrastive_model(width, features, form="cifar"):
    """Backbone and head under the reference's names; `features` numbers at unit length."""
    model = ContrastiveNetwork(width)
    if form == "stl":
        model.backbone = StlBackbone(width)
    model.contrastive_head[2] = nn.Linear(8 * width, features)
    return model


class NumberedModel(nn.Module):
    """As lightly's examples build SimCLR: a backbone of numbered children, a head of linear layers with BatchNorm."""

    def __init__(self, width, features):
        super().__init__()
        children = list(Backbone(width).children())
        # Its ReLU after the stem is a call in the network's code; here it has to be spelled out in `forward`.
        self.backbone = nn.Sequential(*children)
        dim = 8 * width
        self.projection_head = nn.Module()
        self.projection_head.layers = nn.Sequential(
            nn.Linear(dim, dim, bias=False),
            nn.BatchNorm1d(dim),
            nn.ReLU(),
            nn.Linear(dim, features, bias=False),
            nn.BatchNorm1d(features),
        )

    def features(self, x):
        stem, norm, *stages = self.backbone
        x = functional.relu(norm(stem(x)))
        for stage in stages:
            x = stage(x)
        return torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1)

    def forward(self, x):
        return functional.normalize(self.projection_head.layers(self.features(x)), dim=1)


def normalised(images, mean, deviation):
    """uint8 [n, h, w, 3] as normalised float32 [n, 3, h, w], in the order of ToTensor and Normalize."""
    values = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    as_channels = lambda numbers: torch.tensor(numbers).view(1, 3, 1, 1)
    return (values - as_channels(mean)) / as_channels(deviation)


def randomise(model, seed):
    """Every weight and statistic drawn anew, so that nothing agrees by being 0 or 1; features come out of the order of 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("num_batches_tracked"):
                tensor.fill_(int(torch.randint(1, 1000, (), generator=generator)))
            elif tensor.dim() > 1:
                fan_in = tensor[0].numel()
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * (2 / fan_in) ** 0.5)
            elif name.endswith("running_var"):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
            elif name.endswith("weight"):
                # Below 1, as training leaves them: else each of the eight sums doubles what goes through.
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.4 + 0.2)
            else:
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.1)
    return model.eval()

"""ResNet-18 in its CIFAR form (He et al. 2016; 3x3 stem, no max-pool) with SimCLR's projection head, in plain PyTorch.

Parameter names and order are those of the recorded state dicts, so that `verify.py` can compare the two networks.
"""

import torch
from torch import nn
from torch.nn import functional


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class Backbone(nn.Module):
    """Images [n, 3, s, s] to features [n, 8 * width]."""

    def __init__(self, width):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        inputs = width
        for stage in range(4):
            outputs = width << stage
            blocks = (ResidualBlock(inputs, outputs, 1 if stage == 0 else 2), ResidualBlock(outputs, outputs, 1))
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
            inputs = outputs

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1)


class ContrastiveNetwork(nn.Module):
    """Backbone, two-layer head, unit length: images [n, 3, s, s] to [n, 128]."""

    def __init__(self, width):
        super().__init__()
        self.backbone = Backbone(width)
        self.contrastive_head = nn.Sequential(
            nn.Linear(8 * width, 8 * width), nn.ReLU(), nn.Linear(8 * width, 128)
        )

    def forward(self, x):
        return functional.normalize(self.contrastive_head(self.backbone(x)), dim=1)

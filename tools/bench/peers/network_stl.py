"""The network's form for 96x96 images: a max-pool of 2 with padding 1 after the stem, else as in its CIFAR form."""

import torch
from torch.nn import functional

from network import Backbone, ContrastiveNetwork


class StlBackbone(Backbone):
    def forward(self, x):
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(x))), 2, stride=2, padding=1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1)


class StlNetwork(ContrastiveNetwork):
    def __init__(self, width):
        super().__init__(width)
        self.backbone = StlBackbone(width)

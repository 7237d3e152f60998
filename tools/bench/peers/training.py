"""One SimCLR training step as a PyTorch user writes it: eager, SGD with momentum, no compilation."""

import torch

from contrastive_loss import contrastive_loss
from network import ContrastiveNetwork


class Training:
    """A network, its optimizer and its step. `layout` is `nchw` or `channels_last`."""

    def __init__(self, width, layout, learning_rate=0.1, temperature=0.1):
        self.format = torch.channels_last if layout == "channels_last" else torch.contiguous_format
        self.network = ContrastiveNetwork(width).to(memory_format=self.format).train()
        self.temperature = temperature
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=learning_rate, momentum=0.9, weight_decay=1e-4)

    def step(self, views):
        """Forward, loss, backward, update; `views`: float32 [2b, 3, s, s], both views of an image in succession."""
        features = self.network(views.contiguous(memory_format=self.format))
        loss = contrastive_loss(features.view(len(views) // 2, 2, -1), self.temperature)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

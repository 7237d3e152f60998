"""One SimCLR training step as a PyTorch user writes it: eager, SGD with momentum, no compilation."""

import torch

from contrastive_loss import contrastive_loss
from network import ContrastiveNetwork


class Training:
    """A network, its optimizer and its step.

    `layout` is `nchw` or `channels_last`; `device` `cpu` or `cuda`; with `bfloat16` or `float16` as `precision` the network
    runs under autocast, for `float16` with a scaled loss.
    """

    def __init__(self, width, layout, learning_rate=0.1, temperature=0.1, device="cpu", precision="float32"):
        self.format = torch.channels_last if layout == "channels_last" else torch.contiguous_format
        self.device = torch.device(device)
        self.network = ContrastiveNetwork(width).to(device=self.device, memory_format=self.format).train()
        self.temperature = temperature
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=learning_rate, momentum=0.9, weight_decay=1e-4)
        self.low = None if precision == "float32" else getattr(torch, precision)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "float16")

    def step(self, views):
        """Forward, loss, backward, update; `views`: float32 [2b, 3, s, s], both views of an image in succession."""
        views = views.to(device=self.device, non_blocking=True).contiguous(memory_format=self.format)
        with torch.autocast(self.device.type, dtype=self.low, enabled=self.low is not None):
            features = self.network(views)
        loss = contrastive_loss(features.float().view(len(views) // 2, 2, -1), self.temperature)
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.item()

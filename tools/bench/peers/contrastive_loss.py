"""SimCLR's loss (Chen et al. 2020) with the first views as the only anchors."""

import torch
from torch.nn import functional


def contrastive_loss(features, temperature):
    """Mean cross entropy of picking the second view among all 2b features but the anchor; `features`: [b, 2, d]."""
    pairs = features.shape[0]
    first, second = features.unbind(1)
    logits = first @ torch.cat((first, second)).T / temperature
    own = torch.eye(pairs, 2 * pairs, dtype=torch.bool, device=features.device)
    partners = torch.arange(pairs, 2 * pairs, device=features.device)
    return functional.cross_entropy(logits.masked_fill(own, float("-inf")), partners)

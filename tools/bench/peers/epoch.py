"""Peer of `epoch-e2e-w16`: whole epochs, a DataLoader with two worker processes before eager training steps."""

import argparse

import torch
import torchvision
from torch.utils.data import DataLoader

from cifar_folder import TwoViews, read_images
from line_protocol import serve
from simclr_transform import view_transform
from training import Training


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--data", required=True)
    options.add_argument("--width", type=int, required=True)
    options.add_argument("--batch", type=int, required=True)
    options.add_argument("--layout", choices=("nchw", "channels_last"), required=True)
    options.add_argument("--threads", type=int, required=True)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--persistent", action="store_true", help="keep the workers from one epoch to the next")
    given = options.parse_args()

    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    training = Training(given.width, given.layout)
    dataset = TwoViews(read_images(given.data), view_transform(32, tensors=True))

    loader = DataLoader(
        dataset,
        batch_size=given.batch,
        shuffle=True,
        num_workers=given.workers,
        persistent_workers=given.persistent,
        drop_last=True,
    )

    def epoch(_):
        """An epoch. Without `--persistent` it begins with the start of its worker processes, as the reference's do."""
        pairs = 0
        for first, second in loader:
            training.step(torch.stack((first, second), dim=1).flatten(0, 1))
            pairs += len(first)
        return pairs

    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    # As on the other side, the first epoch is not counted.
    serve(epoch, versions, warm_up=lambda: epoch(1))


if __name__ == "__main__":
    main()

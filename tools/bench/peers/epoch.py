"""Peer of `epoch-e2e-w16`: whole epochs, a DataLoader with two worker processes before eager training steps."""

import argparse

import torch
import torchvision
from torch.utils.data import DataLoader, RandomSampler

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
    given = options.parse_args()

    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    training = Training(given.width, given.layout)
    dataset = TwoViews(read_images(given.data), view_transform(32, tensors=True))

    def epoch(steps):
        """An epoch of `steps` batches (0: all of the dataset), the start of its worker processes included."""
        size = steps * given.batch if steps > 0 else len(dataset)
        loader = DataLoader(
            dataset,
            batch_size=given.batch,
            sampler=RandomSampler(dataset, num_samples=min(size, len(dataset))),
            num_workers=given.workers,
            drop_last=True,
        )
        pairs = 0
        for first, second in loader:
            training.step(torch.stack((first, second), dim=1).flatten(0, 1))
            pairs += len(first)
        return pairs

    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    serve(epoch, versions, warm_up=lambda: epoch(2))


if __name__ == "__main__":
    main()

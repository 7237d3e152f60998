"""Peer of `step-w16` and `step-w64`: training steps on views that lie ready in memory, normalised and in float32."""

import argparse

import torch

from line_protocol import serve
from training import Training


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--width", type=int, required=True)
    options.add_argument("--views", type=int, required=True)
    options.add_argument("--layout", choices=("nchw", "channels_last"), required=True)
    options.add_argument("--threads", type=int, required=True)
    options.add_argument("--warm-up", type=int, default=3)
    given = options.parse_args()

    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    training = Training(given.width, given.layout)
    # Several batches in turn: on a single one the loss would fall to nothing within a few rounds.
    batches = [
        torch.randn(given.views, 3, 32, 32).contiguous(memory_format=training.format) for _ in range(4)
    ]

    def steps(count):
        for index in range(count):
            training.step(batches[index % len(batches)])
        return count * given.views

    serve(steps, {"torch": torch.__version__}, warm_up=lambda: steps(given.warm_up))


if __name__ == "__main__":
    main()

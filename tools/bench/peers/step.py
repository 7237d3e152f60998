"""Peer of the rows about training steps, on views that lie ready in memory, normalised and in float32.

On a GPU they lie in pinned memory, as a DataLoader with `pin_memory` leaves them, and each step copies its own.
"""

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
    options.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options.add_argument("--precision", choices=("float32", "bfloat16", "float16"), default="float32")
    options.add_argument("--no-tf32", action="store_true", help="float32 products without rounding to TF32")
    given = options.parse_args()

    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = not given.no_tf32
    torch.backends.cudnn.allow_tf32 = not given.no_tf32
    # TensorFlow tries cuDNN's algorithms and keeps the fastest; so does the peer.
    torch.backends.cudnn.benchmark = True
    training = Training(given.width, given.layout, device=given.device, precision=given.precision)
    # Several batches in turn: on a single one the loss would fall to nothing within a few rounds.
    batches = [
        torch.randn(given.views, 3, 32, 32).contiguous(memory_format=training.format) for _ in range(4)
    ]
    versions = {"torch": torch.__version__}
    if given.device == "cuda":
        batches = [batch.pin_memory() for batch in batches]
        versions["torch-cudnn"] = str(torch.backends.cudnn.version())

    def steps(count):
        for index in range(count):
            training.step(batches[index % len(batches)])
        return count * given.views

    serve(steps, versions, warm_up=lambda: steps(given.warm_up), uses_gpu=given.device == "cuda")


if __name__ == "__main__":
    main()

"""Peer of `augment-1thread`: torchvision's pipeline on PIL images in one thread, one view after the other."""

import argparse

import PIL
import torch
import torchvision
from PIL import Image

from cifar_folder import read_images
from line_protocol import serve
from simclr_transform import view_transform


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--data", required=True)
    options.add_argument("--tensors", action="store_true")
    given = options.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(0)
    transform = view_transform(32, given.tensors)
    images = [Image.fromarray(image) for image in read_images(given.data)[:1024]]

    def views(count):
        for index in range(count):
            transform(images[index % len(images)])
        return count

    versions = {"torchvision": torchvision.__version__, "pillow": PIL.__version__}
    serve(views, versions, warm_up=lambda: views(200))


if __name__ == "__main__":
    main()

"""CIFAR-10's binary layout: records of one label byte and 3072 bytes of red, green and blue planes."""

from pathlib import Path

import numpy
from PIL import Image
from torch.utils.data import Dataset

RECORD = 1 + 3 * 32 * 32


def read_images(folder):
    """All training images of `folder` as uint8 [n, 32, 32, 3]."""
    files = sorted(Path(folder).glob("data_batch_*.bin"))
    if not files:
        raise SystemExit(f"no data_batch_*.bin in {folder}")
    records = numpy.concatenate([numpy.fromfile(file, numpy.uint8).reshape(-1, RECORD) for file in files])
    return numpy.ascontiguousarray(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


class TwoViews(Dataset):
    """Each item is two independent views of one image, made from the PIL image when it is asked for."""

    def __init__(self, images, transform):
        self.images = images
        self.transform = transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = Image.fromarray(self.images[index])
        return self.transform(image), self.transform(image)

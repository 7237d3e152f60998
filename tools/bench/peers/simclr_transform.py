"""SimCLR's augmentation out of torchvision's transforms, on PIL images."""

from torchvision import transforms

MEAN = (0.4914, 0.4822, 0.4465)
DEVIATION = (0.2023, 0.1994, 0.2010)


def view_transform(size, tensors):
    """One random view of an image: a PIL image, or with `tensors` a normalised float32 [3, size, size]."""
    steps = [
        transforms.RandomResizedCrop(size, scale=(0.2, 1.0)),
        transforms.RandomHorizontalFlip(),
        transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
        transforms.RandomGrayscale(p=0.2),
    ]
    if tensors:
        steps += [transforms.ToTensor(), transforms.Normalize(MEAN, DEVIATION)]
    return transforms.Compose(steps)

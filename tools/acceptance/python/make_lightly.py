"""A checkpoint as lightly's SimCLR examples leave them: `make_lightly.py IMAGES_224 OUT`.

PyTorch Lightning trains lightly's modules for two steps, through its own checkpoint callback, and writes OUT/lightly.ckpt with all that
it keeps beside the weights (loops, optimizer, callbacks, hyper-parameters). OUT/lightly-features.npy and -embedding.npy are what PyTorch gives.
"""

import sys
from pathlib import Path

import numpy
import pytorch_lightning as lightning
import torch
from contrastive_models import normalised, randomise
from lightly.loss import NTXentLoss
from lightly.models.modules.heads import SimCLRProjectionHead
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision.models import resnet18

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class SimCLR(lightning.LightningModule):
    def __init__(self, features=128, learning_rate=0.06):
        super().__init__()
        self.save_hyperparameters()
        self.backbone = nn.Sequential(*list(resnet18().children())[:-1])
        self.projection_head = SimCLRProjectionHead(512, 512, features)
        self.criterion = NTXentLoss()

    def features(self, images):
        return self.backbone(images).flatten(start_dim=1)

    def training_step(self, batch, _):
        views = [self.projection_head(self.features(batch[0] + 0.1 * torch.randn_like(batch[0]))) for _ in range(2)]
        loss = self.criterion(*views)
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=self.hparams.learning_rate, momentum=0.9, weight_decay=5e-4)
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2)]


def main():
    images, out = (Path(argument) for argument in sys.argv[1:3])
    pixels = normalised(numpy.load(images), *IMAGENET)
    lightning.seed_everything(1)
    model = randomise(SimCLR(), 7)
    kept = ModelCheckpoint(dirpath=out / "lightly", monitor="train_loss", save_top_k=2, save_last=True)
    trainer = lightning.Trainer(
        max_epochs=2, accelerator="cpu", callbacks=[kept], logger=False, enable_progress_bar=False, log_every_n_steps=1
    )
    trainer.fit(model, DataLoader(TensorDataset(pixels[:16, :, ::4, ::4]), batch_size=16))
    # The trainer's own file, not one that is made for this test.
    (out / "lightly.ckpt").write_bytes(Path(kept.last_model_path).read_bytes())
    model.eval()
    with torch.no_grad():
        features = model.features(pixels)
        embedding = nn.functional.normalize(model.projection_head(features), dim=1)
    numpy.save(out / "lightly-features.npy", features.numpy())
    numpy.save(out / "lightly-embedding.npy", embedding.numpy())


if __name__ == "__main__":
    main()

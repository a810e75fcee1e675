"""The training step of the paper's authors, plainly written, as a yardstick for eig_tune's step.

After the recipe of the public implementation of Ojha et al. (arXiv 1910.01112): images are augmented one by
one with Pillow, everything is fp32, Adam is PyTorch's default, and gradients go wherever autograd takes them.
Networks, prior and losses are eig_tune's own, so that nothing but the step differs.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from eig_tune.data import ImageData
from eig_tune.models import losses
from eig_tune.models.distances import nt_xent
from eig_tune.models.networks.infogan import InfoGanNetworks
from eig_tune.models.prior import LearnedPrior
from eig_tune.training import TrainConfig

_LARGEST_ANGLE = 20
_ZOOM = (0.9, 1.1)
_DISTORTION = 0.05
_BETAS = (0.5, 0.999)


class PilAugmentation:
    """Rotation, zoom and distortion of one Pillow image, each with a resampling of its own."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def __call__(self, image: Image.Image) -> Image.Image:
        angle = self._rng.uniform(-_LARGEST_ANGLE, _LARGEST_ANGLE)
        turned = image.rotate(angle, resample=Image.Resampling.BICUBIC)
        return self._distorted(self._zoomed(turned))

    def _zoomed(self, image: Image.Image) -> Image.Image:
        factor = self._rng.uniform(*_ZOOM)
        width, height = round(image.width * factor), round(image.height * factor)
        left, top = (width - image.width) // 2, (height - image.height) // 2
        resized = image.resize((width, height), Image.Resampling.BICUBIC)
        return resized.crop((left, top, left + image.width, top + image.height))

    def _distorted(self, image: Image.Image) -> Image.Image:
        width, height = image.size
        corners = np.array([0, 0, 0, height, width, height, width, 0], dtype=np.float64)
        moved = corners + self._rng.uniform(-_DISTORTION, _DISTORTION, size=8) * width
        return image.transform(image.size, Image.Transform.QUAD, moved.tolist(), Image.Resampling.BICUBIC)


class TwoViews(Dataset[tuple[Tensor, Tensor]]):
    """Every image of the pool as it is and augmented, both made when they are asked for."""

    def __init__(self, images: ImageData, seed: int) -> None:
        self._pixels = images.training.pixels
        to_tensor = [
            transforms.Resize((images.image_size, images.image_size)),
            transforms.ToTensor(),
            transforms.Normalize(mean=(0.5,), std=(0.5,)),
        ]
        self._plain = transforms.Compose(to_tensor)
        self._augmented = transforms.Compose([PilAugmentation(seed), *to_tensor])

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = Image.fromarray(self._pixels[index, 0])
        return self._plain(image), self._augmented(image)


class AuthorsRecipe:
    """One run of the recipe; ``advance`` is the counterpart of eig_tune's ``Run.advance``."""

    def __init__(self, config: TrainConfig, images: ImageData) -> None:
        train, size, channels = config.train, images.image_size, images.channels
        self._settings, self._noise_dim = train, config.model.noise_dim
        self._random = torch.Generator().manual_seed(config.seed)
        networks = InfoGanNetworks(config.model, size, channels)
        self._generator, self._front_end = networks.generator(), networks.front_end()
        self._discriminator = networks.discriminator(16 * config.model.width)
        self._category_head = networks.category_head(16 * config.model.width)
        self._prior = LearnedPrior(config.model.categories, train.tau)
        for module in (self._generator, self._front_end, self._discriminator, self._category_head):
            networks.initialise(module, self._random)
        groups: list[dict[str, Any]] = [
            {"params": [*self._generator.parameters(), *self._category_head.parameters()]},
            {"params": list(self._prior.parameters()), "lr": train.prior_lr},
        ]
        self._generating = torch.optim.Adam(groups, lr=train.generator_lr, betas=_BETAS)
        self._discriminating = UnwatchedAdam(
            [*self._front_end.parameters(), *self._discriminator.parameters()], train.discriminator_lr
        )
        self._batches = _endless(
            DataLoader(TwoViews(images, config.seed), train.batch_size, shuffle=True, drop_last=True)
        )

    def advance(self, steps: int) -> None:
        """Train for ``steps`` steps."""
        for _ in range(steps):
            self._train_step(*next(self._batches))

    def _train_step(self, real_NCHW: Tensor, augmented_NCHW: Tensor) -> None:
        noise = torch.randn(len(real_NCHW), self._noise_dim, generator=self._random)
        code_NK = self._prior.sample(len(real_NCHW), self._random)

        self._discriminating.zero_grad()
        real_trunk, augmented_trunk = self._front_end(real_NCHW), self._front_end(augmented_NCHW)
        fake_NCHW = self._generator(noise, code_NK)
        real_logits = self._discriminator(real_trunk)
        fake_logits = self._discriminator(self._front_end(fake_NCHW.detach()))
        losses.discriminator_loss(real_logits, fake_logits).backward(retain_graph=True)
        self._discriminating.step()

        self._generating.zero_grad()
        self._generator_objective(fake_NCHW, code_NK, real_trunk, augmented_trunk).backward()
        self._generating.step()

    def _generator_objective(
        self, fake_NCHW: Tensor, code_NK: Tensor, real_trunk: Tensor, augmented_trunk: Tensor
    ) -> Tensor:
        fake_trunk = self._front_end(fake_NCHW)
        _, fake_categories = self._category_head(fake_trunk)
        features, logits = self._category_head(real_trunk)
        augmented_features, augmented_logits = self._category_head(augmented_trunk)
        settings = self._settings
        return (
            losses.generator_loss(self._discriminator(fake_trunk))
            - settings.lambda_1 * losses.mutual_information(fake_categories, code_NK, self._prior.probabilities())
            + settings.lambda_2 * nt_xent(features, augmented_features, settings.nt_xent_temperature)
            + settings.lambda_3 * (losses.entropy(logits) + losses.entropy(augmented_logits))
        )


class UnwatchedAdam:
    """Adam whose updates autograd does not see.

    The recipe sends Q's losses through the front end's graph after D's optimiser has moved the front end. The
    PyTorch of its time let that pass; today's refuses it, unless the weights are moved by way of ``.data``.
    What comes out as the front end's gradient is never used, so Q, G and D learn the same either way.
    """

    def __init__(self, parameters: list[nn.Parameter], lr: float) -> None:
        self._parameters = parameters
        self._aliases = [nn.Parameter(parameter.data) for parameter in parameters]
        self._adam = torch.optim.Adam(self._aliases, lr=lr, betas=_BETAS)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    def step(self) -> None:
        """Move the parameters along their gradients."""
        for parameter, alias in zip(self._parameters, self._aliases, strict=True):
            alias.grad = parameter.grad
        self._adam.step()


def _endless(loader: DataLoader[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield from loader

"""JointVAE: a variational autoencoder with a Gaussian and a categorical latent, and a capacity for each.

Dupont, "Learning Disentangled Joint Continuous and Discrete Representations" (arXiv 1804.00104):

    L = E[log p(x|z, c)] − γ·|KL(q(z|x) ‖ p(z)) − C_z| − γ·|KL(q(c|x) ‖ p(c)) − C_c|

to be maximised, with p(z) = N(0, I), p(c) uniform, and capacities C that rise linearly from 0. Without a capacity of
its own the categorical latent is ignored. The defaults are the published ones for MNIST at 32 × 32, where γ = 30; for
other sizes γ wants to follow the number of pixels, as the reconstruction loss does. A γ above what a nat of information
gains in reconstruction is paid with sure but empty categories: the encoder puts every image into a few of them.

Shape suffixes: N images of a batch, C channels, H and W the side S, D numbers of the continuous latent, K categories.
"""

import math
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from eig_tune.models.base import ModelSetup
from eig_tune.models.methods import JointVaeSettings, NetworkSettings
from eig_tune.models.precision import autocast
from eig_tune.models.prior import gumbel_softmax

_SMALLEST_SIDE = 4


def kl_gaussian(mean_ND: Tensor, log_variance_ND: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, I)) = ½·Σ_d (μ_d² + σ_d² − log σ_d² − 1), batch mean, nats (Kingma & Welling 2014)."""
    kl_ND = (mean_ND.square() + log_variance_ND.exp() - log_variance_ND - 1) / 2
    return kl_ND.sum(dim=1).mean()


def kl_categorical(logits_NK: Tensor) -> Tensor:
    """KL(q(c|x) ‖ uniform) = log K + Σ_k q_k log q_k, batch mean, nats; at most log K."""
    log_q_NK = logits_NK.log_softmax(dim=1)
    return math.log(logits_NK.shape[1]) + (log_q_NK.exp() * log_q_NK).sum(dim=1).mean()


def reconstruction_loss(decoded_NCHW: Tensor, images_NCHW: Tensor) -> Tensor:
    """−E[log p(x|z, c)], Bernoulli: cross entropy summed over the pixels, channel and batch mean, nats.

    Args:
        decoded_NCHW: logits of the pixels.
        images_NCHW: images in [-1, 1].
    """
    loss = binary_cross_entropy_with_logits(decoded_NCHW, (images_NCHW + 1) / 2)
    return loss * (images_NCHW.shape[-2] * images_NCHW.shape[-1])


class CapacitySchedule(nn.Module):
    """Capacities C_z(t) = C_z·min(t / T, 1) and C_c(t) = min(C_c·min(t / T, 1), log K), in nats.

    The step t is a buffer, so that checkpoints hold it.
    """

    def __init__(self, settings: JointVaeSettings, categories: int) -> None:
        super().__init__()
        self.settings = settings
        self.largest_categorical = math.log(categories)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(self) -> tuple[Tensor, Tensor]:
        """The continuous and the categorical capacity at this step, scalars."""
        share = (self.get_buffer("step") / self.settings.capacity_steps).clamp(max=1)
        categorical = (share * self.settings.categorical_capacity).clamp(max=self.largest_categorical)
        return share * self.settings.continuous_capacity, categorical

    def advance(self) -> None:
        """One step on."""
        self.get_buffer("step").add_(1)


class Encoder(nn.Module):
    """q(z, c|x): images [N, C, S, S] to mean [N, D], log variance [N, D] and category logits [N, K]."""

    def __init__(self, networks: NetworkSettings, continuous_dim: int, image_size: int, channels: int) -> None:
        super().__init__()
        self.sizes = [continuous_dim, continuous_dim, networks.categories]
        side, widths = _pyramid(image_size, networks.width)
        layers: list[nn.Module] = []
        for inputs, outputs in zip([channels, *widths], widths, strict=False):
            layers += [nn.Conv2d(inputs, outputs, kernel_size=4, stride=2, padding=1), nn.ReLU()]
        hidden = 4 * networks.width
        layers += [nn.Flatten(), nn.Linear(widths[-1] * side * side, hidden), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden, sum(self.sizes)))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance, logits = self.layers(images).float().split(self.sizes, dim=1)
        return mean, log_variance, logits


class Decoder(nn.Module):
    """p(x|z, c): noise [N, D] and code [N, K] to the logits of the pixels [N, C, S, S]."""

    def __init__(self, networks: NetworkSettings, continuous_dim: int, image_size: int, channels: int) -> None:
        super().__init__()
        side, widths = _pyramid(image_size, networks.width)
        hidden, top = 4 * networks.width, widths[-1]
        layers: list[nn.Module] = [
            nn.Linear(continuous_dim + networks.categories, hidden),
            nn.ReLU(),
            nn.Linear(hidden, top * side * side),
            nn.Unflatten(1, (top, side, side)),
        ]
        for inputs, outputs in zip(widths[::-1], [*widths[-2::-1], channels], strict=True):
            layers += [nn.ReLU(), nn.ConvTranspose2d(inputs, outputs, kernel_size=4, stride=2, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, noise: Tensor, code: Tensor) -> Tensor:
        logits: Tensor = self.layers(torch.cat([noise, code], dim=1))
        return logits.float()


class JointVae:
    """Encoder, decoder, capacities and optimiser of one run, on one device."""

    def __init__(self, setup: ModelSetup) -> None:
        networks, shape = setup.networks, (setup.image_size, setup.channels)
        self.settings = setup.settings
        self.noise_dim = self.settings.continuous_dim
        self.categories = networks.categories
        self.device = setup.generator.device
        self.encoder = Encoder(networks, self.noise_dim, *shape)
        self.decoder = Decoder(networks, self.noise_dim, *shape)
        self.schedule = CapacitySchedule(self.settings, networks.categories)
        for module in self.modules().values():
            module.to(self.device)
            _initialise(module, setup.generator)

    @cached_property
    def _optimizer(self) -> torch.optim.Optimizer:
        """Made when it is first asked for, as InfoGan's."""
        weights = [*self.encoder.parameters(), *self.decoder.parameters()]
        on_gpu = self.device.type == "cuda"
        return torch.optim.Adam(weights, lr=self.settings.vae_lr, fused=True, capturable=on_gpu)

    @property
    def uses_augmented(self) -> bool:
        """Whether ``train_step`` looks at the augmented images at all."""
        return False

    def modules(self) -> dict[str, nn.Module]:
        """Everything with weights or state, by name."""
        return {"encoder": self.encoder, "decoder": self.decoder, "schedule": self.schedule}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The one optimiser, by name."""
        return {"vae": self._optimizer}

    def train_step(self, real_NCHW: Tensor, augmented_NCHW: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """One update of encoder and decoder on the real images; returns detached losses."""
        del augmented_NCHW  # this method has no use for it
        for module in self.modules().values():
            module.train()
        self.schedule.advance()
        parts = self._losses(real_NCHW, generator)
        self._optimizer.zero_grad(set_to_none=True)
        parts["vae_loss"].backward()
        self._optimizer.step()
        return {name: part.detach() for name, part in parts.items()}

    def _losses(self, images_NCHW: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        with autocast(self.device, self.settings.precision):
            mean_ND, log_variance_ND, logits_NK = self.encoder(images_NCHW)
            noise_ND = torch.randn(mean_ND.shape, generator=generator, device=self.device)
            sampled_ND = mean_ND + (log_variance_ND / 2).exp() * noise_ND
            code_NK = gumbel_softmax(logits_NK.log_softmax(dim=1), self.settings.code_temperature, generator)
            decoded_NCHW = self.decoder(sampled_ND, code_NK)
        parts = {
            "reconstruction_loss": reconstruction_loss(decoded_NCHW, images_NCHW),
            "continuous_kl": kl_gaussian(mean_ND, log_variance_ND),
            "categorical_kl": kl_categorical(logits_NK),
        }
        continuous_capacity, categorical_capacity = self.schedule()
        off_capacity = (parts["continuous_kl"] - continuous_capacity).abs()
        off_capacity = off_capacity + (parts["categorical_kl"] - categorical_capacity).abs()
        return parts | {"vae_loss": parts["reconstruction_loss"] + self.settings.capacity_gamma * off_capacity}

    def prior_probabilities(self) -> Tensor:
        """The uniform prior p(c), shape [K], on the CPU."""
        return torch.full((self.categories,), 1 / self.categories)

    @torch.no_grad()
    def generate(self, categories_N: Tensor, noise_ND: Tensor) -> Tensor:
        """Images [N, C, S, S] of the given categories and continuous latents [N, D], in [-1, 1], in evaluation mode."""
        self.decoder.eval()
        decoded_NCHW: Tensor = self.decoder(noise_ND, one_hot(categories_N, self.categories).float())
        return decoded_NCHW.sigmoid() * 2 - 1

    @torch.no_grad()
    def category_logits(self, images_NCHW: Tensor) -> Tensor:
        """Logits of q(c|x), shape [N, K], in evaluation mode."""
        self.encoder.eval()
        logits_NK: Tensor = self.encoder(images_NCHW)[2]
        return logits_NK

    def encoder_program(self) -> nn.Module:
        """Images [N, C, S, S] to q(c|x) [N, K]."""
        return _EncoderProgram(self.encoder)

    def generator_program(self) -> nn.Module:
        """Continuous latents [N, D] and categories [N] to images [N, C, S, S]."""
        return _GeneratorProgram(self.decoder, self.categories)

    @torch.no_grad()
    def reconstruct(self, images_NCHW: Tensor) -> Tensor:
        """The images again, from the mean of q(z|x) and the likeliest category, in [-1, 1], in evaluation mode."""
        self.encoder.eval()
        mean_ND, _, logits_NK = self.encoder(images_NCHW)
        return self.generate(logits_NK.argmax(dim=1), mean_ND)


class _EncoderProgram(nn.Module):
    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> Tensor:
        logits_NK: Tensor = self.encoder(images)[2]
        return logits_NK.softmax(dim=1)


class _GeneratorProgram(nn.Module):
    def __init__(self, decoder: nn.Module, categories: int) -> None:
        super().__init__()
        self.decoder, self.categories = decoder, categories

    def forward(self, noise: Tensor, category: Tensor) -> Tensor:
        decoded_NCHW: Tensor = self.decoder(noise, one_hot(category, self.categories).float())
        return decoded_NCHW.sigmoid() * 2 - 1


def _pyramid(image_size: int, width: int) -> tuple[int, list[int]]:
    """Side of the smallest feature map, and channels of every halving: 32, 64, 64 for 32 × 32 images at width 64."""
    side, halvings = image_size, 0
    while side % 2 == 0 and side > _SMALLEST_SIDE:
        side, halvings = side // 2, halvings + 1
    narrow = max(1, halvings - 2)
    return side, [width // 2] * narrow + [width] * (halvings - narrow)


def _initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Weights and biases from U(−1/√fan_in, 1/√fan_in), as PyTorch does it, but from ``generator``."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
            if layer.bias is not None:
                bound = 1 / math.sqrt(layer.weight[0].numel())
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)

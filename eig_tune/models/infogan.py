"""InfoGAN with a fixed or learned prior: one training step for the six InfoGAN rows of the methods table.

Shape suffixes: N images of a batch, C channels, H and W the side S, K categories, D noise numbers. A trunk is the front
end's output, [N, T].
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from eig_tune.models import losses
from eig_tune.models.base import ModelSetup
from eig_tune.models.distances import DISTANCES, QOutput
from eig_tune.models.networks import CategoryHead, Discriminator, FrontEnd, Generator, initialise
from eig_tune.models.precision import autocast
from eig_tune.models.prior import FixedPrior, LearnedPrior, Prior

_ADAM_BETAS = (0.5, 0.999)


class InfoGan:
    """Networks, prior and optimisers of one run, on one device.

    In bf16 only G and the front end compute in bfloat16, where the time goes; the two heads and all losses stay
    in fp32, since codes and contrasts need more than bfloat16's three digits.
    """

    def __init__(self, setup: ModelSetup) -> None:
        self.method = setup.method
        self.settings = setup.settings
        self.noise_dim = setup.networks.noise_dim
        self.categories = setup.networks.categories
        self.device = setup.generator.device
        self.generator = self.make_generator(setup)
        self.front_end = self.make_front_end(setup)
        self.discriminator = Discriminator(setup.networks)
        self.category_head = CategoryHead(setup.networks)
        self.prior: Prior = _make_prior(setup)
        for module in self.modules().values():
            module.to(self.device)
            initialise(module, setup.generator)
        self._optimizers = self._make_optimizers()

    def make_generator(self, setup: ModelSetup) -> nn.Module:
        """G: noise [N, D] and code [N, K] to images [N, C, S, S] in [-1, 1]. A child class may make its own."""
        return Generator(setup.networks, setup.image_size, setup.channels)

    def make_front_end(self, setup: ModelSetup) -> nn.Module:
        """The trunk that D and Q share: images [N, C, S, S] to [N, 16 · width]. A child class may make its own."""
        return FrontEnd(setup.networks, setup.image_size, setup.channels)

    @property
    def uses_augmented(self) -> bool:
        """Whether ``train_step`` looks at the augmented images at all."""
        return self.method.transformation or self.method.entropy

    def modules(self) -> dict[str, nn.Module]:
        """Everything with weights, by name."""
        return {
            "generator": self.generator,
            "front_end": self.front_end,
            "discriminator": self.discriminator,
            "category_head": self.category_head,
            "prior": self.prior,
        }

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Every optimiser, by name."""
        return self._optimizers

    def train_step(self, real_NCHW: Tensor, augmented_NCHW: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """One update of D and the front end, then one of G, Q and the prior; returns detached losses."""
        for module in self.modules().values():
            module.train()
        with autocast(self.device, self.settings.precision):
            fake_NCHW, code_NK = self._generate(len(real_NCHW), generator)
        discriminator_loss, real_trunk = self._discriminator_step(real_NCHW, fake_NCHW)
        parts = self._generator_step(fake_NCHW, code_NK, real_NCHW, real_trunk, augmented_NCHW)
        return {
            "discriminator_loss": discriminator_loss.detach(),
            **{k: v.detach() for k, v in parts.items()},
        }

    def _generate(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        noise = torch.randn(count, self.noise_dim, generator=generator, device=self.device)
        code_NK = self.prior.sample(count, generator)
        return self.generator(noise, code_NK), code_NK

    def _discriminator_step(self, real_NCHW: Tensor, fake_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        with autocast(self.device, self.settings.precision):
            real_trunk, fake_trunk = self._trunks(real_NCHW, fake_NCHW.detach())
        loss = losses.discriminator_loss(self.discriminator(real_trunk.float()), self.discriminator(fake_trunk.float()))
        self._update("discriminator", loss)
        return loss, real_trunk.detach()

    def _trunks(self, real_NCHW: Tensor, fake_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        if not self.settings.shared_batch_statistics:
            return self.front_end(real_NCHW), self.front_end(fake_NCHW)
        real_trunk, fake_trunk = self.front_end(torch.cat([real_NCHW, fake_NCHW])).split(len(real_NCHW))
        return real_trunk, fake_trunk

    def _generator_step(
        self,
        fake_NCHW: Tensor,
        code_NK: Tensor,
        real_NCHW: Tensor,
        real_trunk: Tensor,
        augmented_NCHW: Tensor,
    ) -> dict[str, Tensor]:
        # Here the front end is a fixed function unless the switch says otherwise: its weights get no gradient,
        # which spares a third of its backward pass, and the real images need no backward pass at all.
        self.front_end.requires_grad_(self.settings.category_loss_trains_front_end)
        self.discriminator.requires_grad_(False)
        seen_NCHW = fake_NCHW.detach().requires_grad_()
        with autocast(self.device, self.settings.precision):
            fake_trunk = self.front_end(seen_NCHW).float()
        parts = self._real_image_losses(real_NCHW, real_trunk, augmented_NCHW)
        parts["generator_loss"] = losses.generator_loss(self.discriminator(fake_trunk))
        parts["mutual_information"] = self._mutual_information(self.category_head(fake_trunk)[1], code_NK)
        optimizer = self._optimizers["generator"]
        optimizer.zero_grad(set_to_none=True)
        self._backward(parts["generator_loss"], self._category_objective(parts), fake_trunk, seen_NCHW, fake_NCHW)
        optimizer.step()
        if self._prior_follows_posterior:
            self._follow_posterior(real_trunk)
        self.front_end.requires_grad_(True)
        self.discriminator.requires_grad_(True)
        return parts

    def _mutual_information(self, logits_NK: Tensor, code_NK: Tensor) -> Tensor:
        if self.settings.code_target == "hard":
            code_NK = one_hot(code_NK.argmax(dim=1), self.categories).float()
        prior_K = self.prior.probabilities()
        return losses.mutual_information(
            logits_NK, code_NK, prior_K if self.settings.prior_entropy_in_information else prior_K.detach()
        )

    @property
    def _prior_follows_posterior(self) -> bool:
        return isinstance(self.prior, LearnedPrior) and self.settings.prior_update == "posterior"

    @torch.no_grad()
    def _follow_posterior(self, real_trunk: Tensor) -> None:
        posterior_K = self.category_head(real_trunk.float())[1].softmax(dim=1).mean(dim=0)
        moved_K = torch.lerp(self.prior.probabilities(), posterior_K, self.settings.prior_lr)
        self.prior.get_parameter("logits").copy_(moved_K.log())

    def _category_objective(self, parts: dict[str, Tensor]) -> Tensor:
        """−λ1·L1 + λ2·L_trans + λ3·L_ent, with the terms that the method's row has."""
        objective = -self.settings.lambda_1 * parts["mutual_information"]
        if "transformation" in parts:
            objective = objective + self.settings.lambda_2 * parts["transformation"]
        if "entropy" in parts:
            objective = objective + self.settings.lambda_3 * parts["entropy"]
        return objective

    def _real_image_losses(self, real_NCHW: Tensor, real_trunk: Tensor, augmented_NCHW: Tensor) -> dict[str, Tensor]:
        parts: dict[str, Tensor] = {}
        if not (self.method.transformation or self.method.entropy):
            return parts
        trains_front_end = self.settings.category_loss_trains_front_end
        with autocast(self.device, self.settings.precision), torch.set_grad_enabled(trains_front_end):
            augmented_trunk = self.front_end(augmented_NCHW)
            if trains_front_end:
                real_trunk = self.front_end(real_NCHW)
        seen = QOutput(*self.category_head(real_trunk.float()))
        seen_augmented = QOutput(*self.category_head(augmented_trunk.float()))
        if self.method.transformation:
            distance = DISTANCES[self.settings.distance]
            parts["transformation"] = distance.between(seen, seen_augmented, self.settings)
        if self.method.entropy:
            parts["entropy"] = losses.entropy(seen.logits) + losses.entropy(seen_augmented.logits)
        return parts

    def _backward(
        self, adversarial: Tensor, objective: Tensor, fake_trunk: Tensor, seen_NCHW: Tensor, fake_NCHW: Tensor
    ) -> None:
        """Gradients of G's step; ``seen_NCHW`` are G's images ``fake_NCHW`` as a leaf, so that G's part comes last.

        The adversarial loss goes through the front end to the images alone: the trunk that D decides by must not
        learn to be fooled. Q's objective may also train it.
        """
        if not self.settings.category_loss_trains_front_end:
            (adversarial + objective).backward(retain_graph=True)
            fake_NCHW.backward(seen_NCHW.grad)
            return
        (to_trunk,) = torch.autograd.grad(adversarial, fake_trunk, retain_graph=True)
        (to_images,) = torch.autograd.grad(fake_trunk, seen_NCHW, to_trunk, retain_graph=True)
        objective.backward(retain_graph=True)
        assert seen_NCHW.grad is not None
        fake_NCHW.backward(seen_NCHW.grad + to_images)

    def _update(self, name: str, loss: Tensor) -> None:
        optimizer = self._optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def _make_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        generating = [*self.generator.parameters(), *self.category_head.parameters()]
        if self.settings.category_loss_trains_front_end:
            generating += self.front_end.parameters()
        prior_lr = 0.0 if self._prior_follows_posterior else self.settings.prior_lr
        groups: list[dict[str, Any]] = [
            {"params": generating},
            {"params": list(self.prior.parameters()), "lr": prior_lr},
        ]
        discriminating = [*self.front_end.parameters(), *self.discriminator.parameters()]
        return {
            "generator": torch.optim.Adam(groups, lr=self.settings.generator_lr, betas=_ADAM_BETAS, fused=True),
            "discriminator": torch.optim.Adam(
                discriminating, lr=self.settings.discriminator_lr, betas=_ADAM_BETAS, fused=True
            ),
        }

    def prior_probabilities(self) -> Tensor:
        """The prior p, shape [K], on the CPU."""
        return self.prior.probabilities().detach().float().cpu()

    @torch.no_grad()
    def generate(self, categories_N: Tensor, noise_ND: Tensor) -> Tensor:
        """Images [N, C, S, S] of the given categories, in [-1, 1], in evaluation mode."""
        self.generator.eval()
        code_NK = one_hot(categories_N, self.categories).float()
        images: Tensor = self.generator(noise_ND, code_NK)
        return images

    @torch.no_grad()
    def category_logits(self, images_NCHW: Tensor) -> Tensor:
        """Logits of Q(c|x), shape [N, K], in evaluation mode."""
        self.front_end.eval()
        self.category_head.eval()
        logits: Tensor = self.category_head(self.front_end(images_NCHW))[1]
        return logits

    def encoder_program(self) -> nn.Module:
        """Images [N, C, S, S] to Q(c|x) [N, K]."""
        return _EncoderProgram(self.front_end, self.category_head)

    def generator_program(self) -> nn.Module:
        """Noise [N, D] and categories [N] to images [N, C, S, S]."""
        return _GeneratorProgram(self.generator, self.categories)


class _EncoderProgram(nn.Module):
    def __init__(self, front_end: nn.Module, category_head: nn.Module) -> None:
        super().__init__()
        self.front_end, self.category_head = front_end, category_head

    def forward(self, images: Tensor) -> Tensor:
        logits_NK: Tensor = self.category_head(self.front_end(images))[1]
        return logits_NK.softmax(dim=1)


class _GeneratorProgram(nn.Module):
    def __init__(self, generator: nn.Module, categories: int) -> None:
        super().__init__()
        self.generator, self.categories = generator, categories

    def forward(self, noise: Tensor, category: Tensor) -> Tensor:
        images_NCHW: Tensor = self.generator(noise, one_hot(category, self.categories).float())
        return images_NCHW


def _make_prior(setup: ModelSetup) -> Prior:
    method, categories, shares_K = setup.method, setup.networks.categories, setup.class_distribution_K
    if method.prior == "learned":
        return LearnedPrior(categories, setup.settings.tau, setup.settings.straight_through)
    if method.prior == "uniform":
        return FixedPrior(torch.full((categories,), 1 / categories))
    if shares_K is None or len(shares_K) != categories:
        raise ValueError(f"{method.name} needs the share of each of its {categories} classes")
    return FixedPrior(shares_K)

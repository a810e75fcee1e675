"""InfoGAN with a fixed or learned prior: one training step for the six InfoGAN rows of the methods table."""

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import one_hot

from eig_tune.models import losses
from eig_tune.models.methods import Method
from eig_tune.models.networks import (
    CategoryHead,
    Discriminator,
    FrontEnd,
    Generator,
    NetworkSettings,
    initialise,
)
from eig_tune.models.precision import Precision, autocast
from eig_tune.models.prior import FixedPrior, LearnedPrior, Prior
from eig_tune.schema import Section

_ADAM_BETAS = (0.5, 0.999)


class InfoGanSettings(Section):
    """The weights and rates of the objective; a method's row decides which of them are used.

    The switches are questions that the paper leaves open; benchmarks/RESULTS.md has the measurements.

    Attributes:
        category_loss_trains_front_end: Q's losses move the trunk that D and Q share, not Q's own layers only.
        code_target: what Q must read back in L1: the code that G saw, or its largest entry alone.
        prior_entropy_in_information: H(c) is part of L1 and so draws a learned prior towards the uniform one.
        straight_through: G sees one-hot codes, and gradients pass as if they were soft (Jang et al. 2017).
        prior_update: a learned prior follows G's gradient by Adam at ``prior_lr``, or moves at each step by the
            share ``prior_lr`` towards the mean of Q(c|x) over the real batch.
        shared_batch_statistics: D's step normalises real and generated images as one batch.
    """

    lambda_1: float = Field(default=1.0, ge=0)
    lambda_2: float = Field(default=10.0, ge=0)
    lambda_3: float = Field(default=1.0, ge=0)
    tau: float = Field(default=0.1, gt=0)
    prior_lr: float = Field(default=1e-2, ge=0)
    generator_lr: float = Field(default=2e-4, gt=0)
    discriminator_lr: float = Field(default=2e-4, gt=0)
    distance: losses.Distance = "nt_xent"
    nt_xent_temperature: float = Field(default=1.0, gt=0)
    category_loss_trains_front_end: bool = True
    code_target: Literal["soft", "hard"] = "soft"
    prior_entropy_in_information: bool = True
    straight_through: bool = False
    prior_update: Literal["gradient", "posterior"] = "gradient"
    shared_batch_statistics: bool = False
    precision: Precision = "fp32"


class InfoGan:
    """Networks, prior and optimisers of one run, on one device.

    In bf16 only G and the front end compute in bfloat16, where the time goes; the two heads and all losses stay
    in fp32, since codes and contrasts need more than bfloat16's three digits.
    """

    def __init__(
        self,
        method: Method,
        networks: NetworkSettings,
        settings: InfoGanSettings,
        image_size: int,
        channels: int,
        class_distribution_K: Tensor | None,
        generator: torch.Generator,
    ) -> None:
        self.method = method
        self.settings = settings
        self.noise_dim = networks.noise_dim
        self.categories = networks.categories
        self.device = generator.device
        self.generator = Generator(networks, image_size, channels)
        self.front_end = FrontEnd(networks, image_size, channels)
        self.discriminator = Discriminator(networks)
        self.category_head = CategoryHead(networks)
        self.prior: Prior = _make_prior(method, networks.categories, settings, class_distribution_K)
        for module in self.modules().values():
            module.to(self.device)
            initialise(module, generator)
        self._optimizers = self._make_optimizers()

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
        features, logits = self.category_head(real_trunk.float())
        augmented_features, augmented_logits = self.category_head(augmented_trunk.float())
        if self.method.transformation:
            parts["transformation"] = self._distance(features, augmented_features, logits, augmented_logits)
        if self.method.entropy:
            parts["entropy"] = losses.entropy(logits) + losses.entropy(augmented_logits)
        return parts

    def _distance(self, features: Tensor, other_features: Tensor, logits: Tensor, other_logits: Tensor) -> Tensor:
        if self.settings.distance == "nt_xent":
            return losses.nt_xent(features, other_features, self.settings.nt_xent_temperature)
        return losses.PROBABILITY_DISTANCES[self.settings.distance](logits, other_logits)

    def _backward(
        self, adversarial: Tensor, objective: Tensor, fake_trunk: Tensor, seen_NCHW: Tensor, fake_NCHW: Tensor
    ) -> None:
        """Gradients of G's step; ``seen_NCHW`` are G's images ``fake_NCHW`` as a leaf, so that G's part comes last.

        The adversarial loss goes through the front end to the images alone: the trunk that D judges with must not
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
    def generate(self, categories_N: Tensor, noise: Tensor) -> Tensor:
        """Images [N, C, S, S] of the given categories, in [-1, 1], in evaluation mode."""
        self.generator.eval()
        code_NK = one_hot(categories_N, self.categories).float()
        images: Tensor = self.generator(noise, code_NK)
        return images

    @torch.no_grad()
    def category_logits(self, images_NCHW: Tensor) -> Tensor:
        """Logits of Q(c|x), shape [N, K], in evaluation mode."""
        self.front_end.eval()
        self.category_head.eval()
        logits: Tensor = self.category_head(self.front_end(images_NCHW))[1]
        return logits


def _make_prior(
    method: Method, categories: int, settings: InfoGanSettings, class_distribution_K: Tensor | None
) -> Prior:
    if method.prior == "learned":
        return LearnedPrior(categories, settings.tau, settings.straight_through)
    if method.prior == "uniform":
        return FixedPrior(torch.full((categories,), 1 / categories))
    if class_distribution_K is None or len(class_distribution_K) != categories:
        raise ValueError(f"{method.name} needs the share of each of its {categories} classes")
    return FixedPrior(class_distribution_K)

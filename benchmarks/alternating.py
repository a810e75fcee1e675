"""The alternating step that eig-tune took before the simultaneous one, kept to be measured against.

D and the front end move first. G, Q, the prior and, under Q's losses, the front end once more then move by what the
moved ones say: two Adam states for the front end, 19 passes through G or the front end instead of 13.
"""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from eig_tune.models import METHODS, losses, register_method
from eig_tune.models.distances import DISTANCES, QOutput
from eig_tune.models.infogan import ADAM_BETAS, InfoGan
from eig_tune.models.precision import autocast


class Alternating(InfoGan):
    """Elastic-InfoGAN by the alternating step; for the default switches alone."""

    def train_step(self, real_NCHW: Tensor, augmented_NCHW: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """One update of D and the front end, then one of G, Q, the prior and the front end."""
        for module in self.modules().values():
            module.train()
        with autocast(self.device, self.settings.precision):
            fake_NCHW, code_NK = self._generate(len(real_NCHW), generator)
            real_trunk, fake_trunk = self.front_end(real_NCHW), self.front_end(fake_NCHW.detach())
        real_logits_N, fake_logits_N = (self.discriminator(trunk.float()) for trunk in (real_trunk, fake_trunk))
        discriminator_loss = losses.discriminator_loss(real_logits_N, fake_logits_N)
        optimizer = self.optimizers()["discriminator"]
        optimizer.zero_grad(set_to_none=True)
        discriminator_loss.backward()
        optimizer.step()
        parts = self._second_update(fake_NCHW, code_NK, real_NCHW, augmented_NCHW)
        return {"discriminator_loss": discriminator_loss.detach(), **{k: v.detach() for k, v in parts.items()}}

    def _second_update(
        self, fake_NCHW: Tensor, code_NK: Tensor, real_NCHW: Tensor, augmented_NCHW: Tensor
    ) -> dict[str, Tensor]:
        self.discriminator.requires_grad_(False)
        seen_NCHW = fake_NCHW.detach().requires_grad_()
        with autocast(self.device, self.settings.precision):
            trunks = [self.front_end(images).float() for images in (seen_NCHW, augmented_NCHW, real_NCHW)]
        fake_trunk, augmented_trunk, real_trunk = trunks
        seen, seen_augmented = (QOutput(*self.category_head(trunk)) for trunk in (real_trunk, augmented_trunk))
        distance = DISTANCES[self.settings.distance]
        parts = {
            "transformation": distance.between(seen, seen_augmented, self.settings),
            "entropy": losses.entropy(seen.logits) + losses.entropy(seen_augmented.logits),
            "generator_loss": losses.generator_loss(self.discriminator(fake_trunk)),
            "mutual_information": self._mutual_information(self.category_head(fake_trunk)[1], code_NK),
        }
        optimizer = self.optimizers()["generator"]
        optimizer.zero_grad(set_to_none=True)
        (to_trunk,) = torch.autograd.grad(parts["generator_loss"], fake_trunk, retain_graph=True)
        (to_images,) = torch.autograd.grad(fake_trunk, seen_NCHW, to_trunk, retain_graph=True)
        self._category_objective(parts).backward(retain_graph=True)
        assert seen_NCHW.grad is not None
        fake_NCHW.backward(seen_NCHW.grad + to_images)
        optimizer.step()
        self.discriminator.requires_grad_(True)
        return parts

    @cached_property
    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        trained_by_q = [*self.generator.parameters(), *self.category_head.parameters(), *self.front_end.parameters()]
        groups: list[dict[str, Any]] = [
            {"params": trained_by_q},
            {"params": list(self.prior.parameters()), "lr": self.settings.prior_lr},
        ]
        discriminating = [*self.front_end.parameters(), *self.discriminator.parameters()]
        return {
            "generator": torch.optim.Adam(groups, lr=self.settings.generator_lr, betas=ADAM_BETAS, fused=True),
            "discriminator": torch.optim.Adam(
                discriminating, lr=self.settings.discriminator_lr, betas=ADAM_BETAS, fused=True
            ),
        }


ALTERNATING = METHODS["elastic-infogan"].with_model("alternating", Alternating)
register_method(ALTERNATING)  # on import, since a process that trains imports no more than this

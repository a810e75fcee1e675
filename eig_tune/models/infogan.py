"""InfoGAN with a fixed or learned prior: one training step for the six InfoGAN rows of the methods table.

Shape suffixes: N images of a batch, C channels, H and W the side S, K categories, D noise numbers; M the trunks, of T
numbers each, of real, generated and augmented images, one below the other. A trunk is the front end's output.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from eig_tune.models import losses
from eig_tune.models.balance import GradientBalance
from eig_tune.models.base import ModelSetup
from eig_tune.models.diff_augment import diff_augment
from eig_tune.models.distances import DISTANCES, QOutput
from eig_tune.models.networks import network_for
from eig_tune.models.networks.base import Networks
from eig_tune.models.precision import autocast
from eig_tune.models.prior import FollowingPrior, make_prior, one_hot
from eig_tune.models.programs import EncoderProgram, GeneratorProgram

ADAM_BETAS = (0.5, 0.999)


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
        trunk_size = getattr(self.front_end, "trunk_size", 16 * setup.networks.width)
        networks = _networks(setup)
        self.discriminator = networks.discriminator(trunk_size)
        self.category_head = networks.category_head(trunk_size)
        self.prior = make_prior(setup)
        self.balance = GradientBalance()
        for module in self.modules().values():
            module.to(self.device)
            networks.initialise(module, setup.generator)

    def make_generator(self, setup: ModelSetup) -> nn.Module:
        """G: noise [N, D] and code [N, K] to images [N, C, S, S] in [-1, 1]. A child class may make its own."""
        return _networks(setup).generator()

    def make_front_end(self, setup: ModelSetup) -> nn.Module:
        """The trunk that D and Q share: images [N, C, S, S] to [N, T].

        A child class may make its own; T is its attribute ``trunk_size``, and 16 · width if it has none. Images of all
        kinds go through it as one batch if its attribute ``normalises_batches`` is False.
        """
        return _networks(setup).front_end()

    @property
    def uses_augmented(self) -> bool:
        """Whether ``train_step`` looks at the augmented images at all."""
        return self.method.transformation or self.method.entropy

    def modules(self) -> dict[str, nn.Module]:
        """Everything with weights or state, by name."""
        return {
            "generator": self.generator,
            "front_end": self.front_end,
            "discriminator": self.discriminator,
            "category_head": self.category_head,
            "prior": self.prior,
            "balance": self.balance,
        }

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Every optimiser, by name."""
        return self._optimizers

    def train_step(self, real_NCHW: Tensor, augmented_NCHW: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """One simultaneous update of D, the front end, G, Q and the prior; returns detached losses.

        All losses are taken at the same weights, so that one forward pass of G, and one of the front end for each of
        real, generated and augmented images, serve all of them.
        """
        for module in self.modules().values():
            module.train()
        with autocast(self.device, self.settings.precision):
            fake_NCHW, code_NK = self._generate(len(real_NCHW), generator)
            images_NCHW = fake_NCHW.detach().requires_grad_()  # so that G's part of the backward pass comes last
            shown_NCHW = diff_augment(real_NCHW, self.settings, generator)
            if self.settings.r1_gamma > 0:
                shown_NCHW = shown_NCHW.detach().requires_grad_()
            passed_MT = self._front_end_pass(
                shown_NCHW, diff_augment(images_NCHW, self.settings, generator), augmented_NCHW
            )
        trunks_MT = passed_MT.detach().float().requires_grad_()  # so that each loss's gradient is known there
        parts = self._losses(trunks_MT.split(len(real_NCHW)), code_NK)
        for optimizer in self._optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        to_weights_MT, to_images_MT = self._backward_to_trunks(parts, trunks_MT)
        if self.settings.r1_gamma > 0:
            parts["r1_penalty"] = self._penalise(passed_MT, shown_NCHW)
        self._backward_to_weights(passed_MT, to_weights_MT, to_images_MT, images_NCHW, fake_NCHW)
        for optimizer in self._optimizers.values():
            optimizer.step()
        if isinstance(self.prior, FollowingPrior):
            self.prior.follow(self._posterior(trunks_MT[: len(real_NCHW)]))
        return {name: loss.detach() for name, loss in parts.items()}

    def _generate(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        noise = torch.randn(count, self.noise_dim, generator=generator, device=self.device)
        code_NK = self.prior.sample(count, generator)
        return self.generator(noise, code_NK), code_NK

    def _front_end_pass(self, real_NCHW: Tensor, images_NCHW: Tensor, augmented_NCHW: Tensor) -> Tensor:
        """The trunks of real, generated and, where the method looks at them, augmented images, one below the other.

        Batch normalisation keeps the three apart, unless the switch says that real and generated ones are one batch.
        Without any in the front end they go through it together.
        """
        if not getattr(self.front_end, "normalises_batches", True):
            augmented = [augmented_NCHW] if self.uses_augmented else []
            together_MT: Tensor = self.front_end(torch.cat([real_NCHW, images_NCHW, *augmented]))
            return together_MT
        if self.settings.shared_batch_statistics:
            trunks = [self.front_end(torch.cat([real_NCHW, images_NCHW]))]
        else:
            trunks = [self.front_end(real_NCHW), self.front_end(images_NCHW)]
        if self.uses_augmented:
            with torch.set_grad_enabled(self.settings.category_loss_trains_front_end):
                trunks.append(self.front_end(augmented_NCHW))
        return torch.cat(trunks)

    def _losses(self, trunks: Sequence[Tensor], code_NK: Tensor) -> dict[str, Tensor]:
        """Every loss of the method's row, by name, from the trunks of real, generated and augmented images."""
        real, fake, *augmented = trunks
        fake_logits_N = self.discriminator(fake)
        discriminator_loss, generator_loss = losses.GAN_LOSSES[self.settings.gan_loss]
        parts = {
            "discriminator_loss": discriminator_loss(self.discriminator(real), fake_logits_N),
            "generator_loss": generator_loss(fake_logits_N),
            "mutual_information": self._mutual_information(self.category_head(fake)[1], code_NK),
        }
        if not augmented:
            return parts
        seen, seen_augmented = (QOutput(*self.category_head(trunk)) for trunk in (real, *augmented))
        if self.method.transformation:
            distance = DISTANCES[self.settings.distance]
            parts["transformation"] = distance.between(seen, seen_augmented, self.settings)
        if self.method.entropy:
            parts["entropy"] = losses.entropy(seen.logits) + losses.entropy(seen_augmented.logits)
        return parts

    def _mutual_information(self, logits_NK: Tensor, code_NK: Tensor) -> Tensor:
        if self.settings.code_target == "hard":
            code_NK = one_hot(code_NK.argmax(dim=1), self.categories)
        prior_K = self.prior.probabilities()
        return losses.mutual_information(
            logits_NK, code_NK, prior_K if self.settings.prior_entropy_in_information else prior_K.detach()
        )

    def _category_objective(self, parts: Mapping[str, Tensor]) -> Tensor:
        """−λ1·L1 + λ2·L_trans + λ3·L_ent, with the terms that the method's row has."""
        objective = -self.settings.lambda_1 * parts["mutual_information"]
        if "transformation" in parts:
            objective = objective + self.settings.lambda_2 * parts["transformation"]
        if "entropy" in parts:
            objective = objective + self.settings.lambda_3 * parts["entropy"]
        return objective

    def _backward_to_trunks(self, parts: Mapping[str, Tensor], trunks_MT: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of D's and Q's own layers and, by Q's objective, of the prior.

        Returns:
            The gradient at the trunks by which the front end's weights move, and that which goes on to G's images. The
            adversarial loss is in the second one alone: the trunk that D decides by must not learn to be fooled.
        """
        objective, of_prior = self._category_objective(parts), list(self.prior.parameters())
        of_d_MT = _gradient(parts["discriminator_loss"], trunks_MT, self.discriminator.parameters())
        of_g_MT = _gradient(parts["generator_loss"], trunks_MT)
        of_q_MT = _gradient(objective, trunks_MT, [*self.category_head.parameters(), *of_prior])
        if not self.settings.category_loss_trains_front_end:
            return of_d_MT, of_g_MT + of_q_MT
        return of_d_MT + self.balance(of_d_MT, of_q_MT) * of_q_MT, of_g_MT + of_q_MT

    def _penalise(self, passed_MT: Tensor, shown_NCHW: Tensor) -> Tensor:
        """Gradients of the R1 penalty at the weights of D and of the front end; the penalty, with its weight."""
        logits_N = self.discriminator(passed_MT[: len(shown_NCHW)].float())
        penalty = self.settings.r1_gamma * losses.r1_penalty(logits_N, shown_NCHW)
        penalty.backward(inputs=[*self.discriminator.parameters(), *self.front_end.parameters()], retain_graph=True)
        return penalty

    def _backward_to_weights(
        self, passed_MT: Tensor, to_weights_MT: Tensor, to_images_MT: Tensor, images_NCHW: Tensor, fake_NCHW: Tensor
    ) -> None:
        """Gradients of the front end, of G and, through G's images, of the prior."""
        (of_images_NCHW,) = torch.autograd.grad(
            passed_MT, images_NCHW, to_images_MT.to(passed_MT.dtype), retain_graph=True
        )
        passed_MT.backward(to_weights_MT.to(passed_MT.dtype), inputs=list(self.front_end.parameters()))
        fake_NCHW.backward(of_images_NCHW, inputs=[*self.generator.parameters(), *self.prior.parameters()])

    @torch.no_grad()
    def _posterior(self, real_trunk_NT: Tensor) -> Tensor:
        """The mean of Q(c|x) over the real batch, by the weights as they are after the step; shape [K]."""
        mean_K: Tensor = self.category_head(real_trunk_NT)[1].softmax(dim=1).mean(dim=0)
        return mean_K

    @cached_property
    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Made when first asked for: with a process's first one PyTorch imports its compiler, which takes seconds, and
        what only looks at a model needs none."""
        generating = [*self.generator.parameters(), *self.category_head.parameters()]
        prior_lr = 0.0 if isinstance(self.prior, FollowingPrior) else self.settings.prior_lr
        return {
            "generator": _adam(
                self.settings.generator_lr,
                {"params": generating},
                {"params": list(self.prior.parameters()), "lr": prior_lr},
            ),
            "discriminator": _adam(
                self.settings.discriminator_lr,
                {"params": list(self.discriminator.parameters())},
                {"params": list(self.front_end.parameters()), "lr": self._front_end_lr},
            ),
        }

    @property
    def _front_end_lr(self) -> float:
        """Between Q's rate and D's where the losses of both move the front end."""
        if not self.settings.category_loss_trains_front_end:
            return self.settings.discriminator_lr
        return math.sqrt(self.settings.generator_lr * self.settings.discriminator_lr)

    def prior_probabilities(self) -> Tensor:
        """The prior p, shape [K], on the CPU."""
        return self.prior.probabilities().detach().float().cpu()

    @torch.no_grad()
    def generate(self, categories_N: Tensor, noise_ND: Tensor) -> Tensor:
        """Images [N, C, S, S] of the given categories, in [-1, 1], in evaluation mode."""
        self.generator.eval()
        code_NK = one_hot(categories_N, self.categories)
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
        return EncoderProgram(self.front_end, self.category_head)

    def generator_program(self) -> nn.Module:
        """Noise [N, D] and categories [N] to images [N, C, S, S]."""
        return GeneratorProgram(self.generator, self.categories)


def _adam(lr: float, *groups: dict[str, Any]) -> torch.optim.Optimizer:
    on_gpu = any(weight.is_cuda for group in groups for weight in group["params"])
    return torch.optim.Adam(groups, lr=lr, betas=ADAM_BETAS, fused=True, capturable=on_gpu)


def _gradient(loss: Tensor, trunks_MT: Tensor, weights: Iterable[nn.Parameter] = ()) -> Tensor:
    """The gradient of a loss at the trunks; that of ``weights`` is left with them."""
    loss.backward(inputs=[trunks_MT, *weights], retain_graph=True)
    gradient_MT, trunks_MT.grad = trunks_MT.grad, None
    assert gradient_MT is not None
    return gradient_MT


def _networks(setup: ModelSetup) -> Networks:
    """The row of ``model.network`` for these images, which makes the modules."""
    row = network_for(setup.networks.network, setup.image_size)
    return row.load()(setup.networks, setup.image_size, setup.channels)

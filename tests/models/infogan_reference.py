"""InfoGAN's training step written out with plain functions and autograd in float64, for test_infogan."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    conv2d,
    conv_transpose2d,
    leaky_relu,
    linear,
    normalize,
    one_hot,
    relu,
)

from eig_tune.models import METHODS, ModelSettings, NetworkSettings
from eig_tune.models.base import ModelSetup
from eig_tune.models.infogan import InfoGan

SIZE, BATCH = 16, 12
NETWORKS = NetworkSettings(width=4, noise_dim=6, categories=5)
TRUE_SHARES = torch.tensor([0.1, 0.3, 0.2, 0.25, 0.15], dtype=torch.float64)
SETTINGS = ModelSettings(
    precision="fp32",
    lambda_1=0.7,
    lambda_2=3.0,
    lambda_3=0.5,
    tau=0.6,
    prior_lr=0.03,
    generator_lr=1e-3,
    discriminator_lr=4e-4,
    nt_xent_temperature=0.5,
    category_loss_trains_front_end=False,
)
Weights = dict[str, list[Tensor]]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def setup(
    method: str = "elastic-infogan",
    settings: ModelSettings = SETTINGS,
    seed: int = 0,
    shares: Tensor | None = TRUE_SHARES,
) -> ModelSetup:
    return ModelSetup(METHODS[method], NETWORKS, settings, SIZE, 1, shares, seeded(seed))


def make(method: str = "elastic-infogan", settings: ModelSettings = SETTINGS, seed: int = 0) -> InfoGan:
    return InfoGan(setup(method, settings, seed))


def images(seed: int = 7) -> tuple[Tensor, Tensor]:
    """Stand-ins for a batch of real images and of augmented ones, in [-1, 1]."""
    real = torch.rand(BATCH, 1, SIZE, SIZE, generator=seeded(seed)) * 2 - 1
    return real, (0.8 * real + 0.2 * real.flip(-1)).clamp(-1, 1)


def weights_of(model: InfoGan) -> Weights:
    return {name: [p.detach().clone() for p in module.parameters()] for name, module in model.modules().items()}


# The step, written out. Parameters come as lists, in the order in which a module lists them.


def batch_norm(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    others = [dimension for dimension in range(x.ndim) if dimension != 1]
    mean = x.mean(others, keepdim=True)
    variance = (x - mean).square().mean(others, keepdim=True)
    shape = [1, -1] + [1] * (x.ndim - 2)
    return (x - mean) / torch.sqrt(variance + 1e-5) * scale.view(shape) + shift.view(shape)


def naive_generator(p: Sequence[Tensor], noise: Tensor, code: Tensor) -> Tensor:
    x = relu(batch_norm(linear(torch.cat([noise, code], dim=1), p[0], p[1]), p[2], p[3]))
    x = relu(batch_norm(linear(x, p[4], p[5]), p[6], p[7])).view(len(x), -1, SIZE // 4, SIZE // 4)
    x = relu(batch_norm(conv_transpose2d(x, p[8], p[9], stride=2, padding=1), p[10], p[11]))
    return torch.tanh(conv_transpose2d(x, p[12], p[13], stride=2, padding=1))


def naive_front_end(p: Sequence[Tensor], x: Tensor) -> Tensor:
    x = leaky_relu(conv2d(x, p[0], p[1], stride=2, padding=1), 0.2)
    x = leaky_relu(batch_norm(conv2d(x, p[2], p[3], stride=2, padding=1), p[4], p[5]), 0.2)
    return leaky_relu(batch_norm(linear(x.flatten(1), p[6], p[7]), p[8], p[9]), 0.2)


def naive_category_head(p: Sequence[Tensor], trunk: Tensor) -> tuple[Tensor, Tensor]:
    features = leaky_relu(batch_norm(linear(trunk, p[0], p[1]), p[2], p[3]), 0.2)
    return features, linear(features, p[4], p[5])


def naive_entropy(logits: Tensor) -> Tensor:
    q = logits.softmax(dim=1)
    return -(q * q.log()).sum(dim=1).mean()


def naive_js(logits: Tensor, other: Tensor) -> Tensor:
    p, q = logits.softmax(dim=1), other.softmax(dim=1)
    mean = (p + q) / 2
    return ((p * (p / mean).log()).sum(dim=1) + (q * (q / mean).log()).sum(dim=1)).mean() / 2


def naive_nt_xent(features: Tensor, other: Tensor, temperature: float) -> Tensor:
    views = normalize(torch.cat([features, other]), dim=1)
    total = torch.zeros((), dtype=views.dtype)
    for i in range(len(views)):
        exponents = ((views @ views[i]) / temperature).exp()
        partner = (i + len(features)) % len(views)
        total = total - (exponents[partner] / (exponents.sum() - exponents[i])).log()
    return total / len(views)


def naive_codes(p: Weights, model: InfoGan, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The codes [N, K] and the prior [K] that they were drawn from."""
    categories, method = NETWORKS.categories, model.method.name
    if METHODS[method].prior != "learned":
        uniform = torch.full((categories,), 1 / categories)
        fixed = uniform if METHODS[method].prior == "uniform" else TRUE_SHARES.float()
        drawn = torch.multinomial(fixed, BATCH, replacement=True, generator=generator)
        return one_hot(drawn, categories).double(), fixed.double()
    prior = p["prior"][0].softmax(dim=0)
    gumbel = -torch.empty(BATCH, categories).exponential_(generator=generator).log().double()
    soft = ((prior.log() + gumbel) / SETTINGS.tau).softmax(dim=1)
    if model.settings.straight_through:
        return one_hot(soft.argmax(dim=1), categories) + (soft - soft.detach()), prior
    return soft, prior


def naive_adversarial_loss(p: Weights, trunk: Tensor, wanted: float) -> Tensor:
    logits = linear(trunk, *p["discriminator"]).squeeze(1)
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, wanted))


def naive_q_loss(model: InfoGan, p: Weights, drawn: tuple[Tensor, Tensor], trunks: tuple[Tensor, ...]) -> Tensor:
    """−λ1·L1 + λ2·L_trans + λ3·L_ent, for (codes, prior) and the trunks of (fake, real, augmented) images."""
    settings, (code, prior) = model.settings, drawn
    (_, fake), (features, logits), (other_features, other_logits) = (
        naive_category_head(p["category_head"], trunk) for trunk in trunks
    )
    target = one_hot(code.argmax(dim=1), len(prior)).double() if settings.code_target == "hard" else code
    loss = -settings.lambda_1 * (target * fake.log_softmax(dim=1)).sum(dim=1).mean()
    if settings.prior_entropy_in_information:
        loss = loss + settings.lambda_1 * (prior * prior.log()).sum()
    if model.method.transformation and settings.distance == "js":
        loss = loss + settings.lambda_2 * naive_js(logits, other_logits)
    elif model.method.transformation:
        loss = loss + settings.lambda_2 * naive_nt_xent(features, other_features, settings.nt_xent_temperature)
    if model.method.entropy:
        loss = loss + settings.lambda_3 * (naive_entropy(logits) + naive_entropy(other_logits))
    return loss


def naive_step(model: InfoGan, seed: int) -> Weights:
    """Every weight after one simultaneous step, from the state that ``model`` is in."""
    p = {name: [w.double().requires_grad_() for w in ws] for name, ws in weights_of(model).items()}
    generator, (real, augmented) = seeded(seed), (batch.double() for batch in images())
    noise = torch.randn(BATCH, NETWORKS.noise_dim, generator=generator).double()
    drawn = naive_codes(p, model, generator)
    fake = naive_generator(p["generator"], noise, drawn[0])

    if model.settings.shared_batch_statistics:
        real_trunk, fake_trunk = naive_front_end(p["front_end"], torch.cat([real, fake])).split(BATCH)
    else:
        real_trunk, fake_trunk = (naive_front_end(p["front_end"], x) for x in (real, fake))
    trunks = (fake_trunk, real_trunk, naive_front_end(p["front_end"], augmented))
    if model.settings.gan_loss == "hinge":
        of_real, of_fake = (linear(trunk, *p["discriminator"]) for trunk in (real_trunk, fake_trunk))
        d_loss, fooling = relu(1 - of_real).mean() + relu(1 + of_fake).mean(), -of_fake.mean()
    else:
        d_loss = naive_adversarial_loss(p, real_trunk, 1) + naive_adversarial_loss(p, fake_trunk, 0)
        fooling = naive_adversarial_loss(p, fake_trunk, 1)
    q_loss = naive_q_loss(model, p, drawn, trunks)
    g_loss = fooling + q_loss

    of_d = gradients_of(d_loss + naive_penalty(model, p, real), p, ["front_end", "discriminator"])
    of_g = gradients_of(g_loss, p, ["generator", "category_head", "prior"])
    if model.settings.category_loss_trains_front_end:  # G's aim is to fool D: it must not train D's eyes
        before = model.balance.get_buffer("squared_lengths").double()  # moving averages
        now = torch.stack([squared_length_at(trunks, loss) for loss in (d_loss, q_loss)])
        of_both = 0.99 * before + 0.01 * now
        balance = (of_both[0] / of_both[1]).sqrt()
        of_q = gradients_of(q_loss, p, ["front_end"])["front_end"]
        of_d["front_end"] = [d + balance * q for d, q in zip(of_d["front_end"], of_q, strict=True)]
    if model.settings.prior_update == "posterior":
        del of_g["prior"]
    naive_adam(model, "discriminator", p, of_d)
    naive_adam(model, "generator", p, of_g)
    if model.settings.prior_update == "posterior":
        posterior = naive_category_head(p["category_head"], real_trunk)[1].softmax(dim=1).mean(dim=0)
        share = model.settings.prior_lr
        p["prior"][0] = ((1 - share) * drawn[1] + share * posterior).log()
    return {name: [w.detach() for w in ws] for name, ws in p.items()}


def naive_penalty(model: InfoGan, p: Weights, real: Tensor) -> Tensor:
    """γ/2·E‖∇D(x)‖²."""
    real = real.clone().requires_grad_()
    logits = linear(naive_front_end(p["front_end"], real), *p["discriminator"])
    (slopes,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
    return model.settings.r1_gamma / 2 * slopes.flatten(1).square().sum(dim=1).mean()


def squared_length_at(trunks: tuple[Tensor, ...], loss: Tensor) -> Tensor:
    """Of a loss's gradient at the trunks, all images together."""
    gradients = torch.autograd.grad(loss, trunks, retain_graph=True, materialize_grads=True)
    return torch.cat(gradients).square().sum()


def gradients_of(loss: Tensor, p: Weights, names: list[str]) -> Weights:
    gradients = iter(torch.autograd.grad(loss, [w for name in names for w in p[name]], retain_graph=True))
    return {name: [next(gradients) for _ in p[name]] for name in names}


def naive_adam(model: InfoGan, optimizer: str, p: Weights, gradients: Weights) -> None:
    """Kingma and Ba 2015, algorithm 1, with β = (0.5, 0.999), from the moments in the model's optimiser."""
    rates = {"discriminator": model.settings.discriminator_lr, "generator": model.settings.generator_lr}
    states = model.optimizers()[optimizer].state
    for name, of_module in gradients.items():
        rate = model.settings.prior_lr if name == "prior" else rates[optimizer]
        if name == "front_end" and model.settings.category_loss_trains_front_end:
            rate = math.sqrt(rates["generator"] * rates["discriminator"])
        for index, (parameter, g) in enumerate(zip(model.modules()[name].parameters(), of_module, strict=True)):
            state = states[parameter]
            t = int(state["step"]) + 1
            m = 0.5 * state["exp_avg"].double() + 0.5 * g
            v = 0.999 * state["exp_avg_sq"].double() + 0.001 * g.square()
            change = rate * (m / (1 - 0.5**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
            p[name][index] = (p[name][index] - change).detach().requires_grad_()

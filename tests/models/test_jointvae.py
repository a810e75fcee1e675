import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.distributions import Categorical, Independent, Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy

from eig_tune.models import METHODS, JointVaeSettings, ModelSettings, NetworkSettings
from eig_tune.models.base import ModelSetup
from eig_tune.models.jointvae import (
    CapacitySchedule,
    JointVae,
    kl_categorical,
    kl_gaussian,
    reconstruction_loss,
)
from eig_tune.training.checkpoint import collect, distribute

SIZE, BATCH = 16, 8
SETTINGS = ModelSettings(continuous_dim=3, capacity_steps=4)


def make(
    seed: int = 0, size: int = SIZE, channels: int = 1, **settings: float | str
) -> tuple[JointVae, torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    networks, method = NetworkSettings(width=8, categories=5), METHODS["joint-vae"]
    changed = SETTINGS.model_copy(update=settings)
    return JointVae(ModelSetup(method, networks, changed, size, channels, None, generator)), generator


def images(size: int = SIZE, channels: int = 1) -> Tensor:
    return torch.rand(BATCH, channels, size, size, generator=torch.Generator().manual_seed(7)) * 2 - 1


def train(model: JointVae, generator: torch.Generator, steps: int) -> list[float]:
    return [model.train_step(images(), images(), generator)["vae_loss"].item() for _ in range(steps)]


def tensors(model: JointVae) -> dict[str, Tensor]:
    return collect(model.modules(), model.optimizers())


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


def test_gaussian_kl_is_that_of_torch() -> None:
    mean, log_variance = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    posterior = Independent(Normal(mean, (log_variance / 2).exp()), 1)
    prior = Independent(Normal(torch.zeros(4), torch.ones(4)), 1)
    torch.testing.assert_close(kl_gaussian(mean, log_variance), kl_divergence(posterior, prior).mean())


def test_categorical_kl_is_that_of_torch() -> None:
    logits = 3 * torch.randn(6, 10, generator=torch.Generator().manual_seed(0))
    expected = kl_divergence(Categorical(logits=logits), Categorical(logits=torch.zeros(10))).mean()
    torch.testing.assert_close(kl_categorical(logits), expected)


def test_categorical_kl_of_a_sure_posterior_is_log_k() -> None:
    logits = torch.zeros(2, 10)
    logits[:, 3] = 1000
    assert kl_categorical(logits).item() == pytest.approx(math.log(10))


def test_reconstruction_loss_is_the_cross_entropy_summed_over_pixels() -> None:
    decoded, real = torch.randn(BATCH, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0)), images()
    expected = binary_cross_entropy(decoded.sigmoid(), (real + 1) / 2, reduction="none").sum(dim=(1, 2, 3)).mean()
    torch.testing.assert_close(reconstruction_loss(decoded, real), expected)


def test_capacities_rise_linearly_and_then_stay() -> None:
    settings = JointVaeSettings(continuous_capacity=8.0, categorical_capacity=2.0, capacity_steps=4)
    schedule = CapacitySchedule(settings, categories=10)
    seen = []
    for _ in range(7):
        seen.append(tuple(capacity.item() for capacity in schedule()))
        schedule.advance()
    assert seen == [(0, 0), (2, 0.5), (4, 1), (6, 1.5), (8, 2), (8, 2), (8, 2)]


def test_categorical_capacity_is_never_above_log_k() -> None:
    schedule = CapacitySchedule(JointVaeSettings(categorical_capacity=5.0, capacity_steps=4), categories=10)
    seen = []
    for _ in range(6):
        seen.append(schedule()[1].item())
        schedule.advance()
    assert seen == pytest.approx([0, 1.25, *[math.log(10)] * 4])


def test_every_training_step_raises_the_capacities() -> None:
    model, generator = make()
    train(model, generator, 2)
    assert [capacity.item() for capacity in model.schedule()] == pytest.approx([2.5, math.log(5)])
    model, generator = make()
    train(model, generator, 1)
    assert [capacity.item() for capacity in model.schedule()] == pytest.approx([1.25, 1.25])


def test_the_same_seed_gives_the_same_steps() -> None:
    first, second, other = make(0), make(0), make(1)
    torch.manual_seed(0)
    losses = train(*first, 3)
    torch.manual_seed(1)
    assert train(*second, 3) == losses
    assert train(*other, 3) != losses
    assert same(tensors(first[0]), tensors(second[0]))


@pytest.mark.parametrize(("rows", "latent"), [(slice(0, 6), "continuous"), (slice(6, 11), "categorical")])
def test_the_reconstruction_reaches_the_encoder_through_both_latents(rows: slice, latent: str) -> None:
    model, generator = make()
    model._losses(images(), generator)["reconstruction_loss"].backward()
    last = model.encoder.layers[-1]
    assert isinstance(last, torch.nn.Linear) and last.weight.grad is not None
    assert (last.weight.grad[rows].abs().sum(dim=1) > 0).all(), latent


def test_a_restored_model_goes_on_bit_for_bit(tmp_path: Path) -> None:
    model, generator = make()
    train(model, generator, 3)
    save_file(tensors(model), tmp_path / "state.safetensors")
    random_state = generator.get_state()
    expected = train(model, generator, 3)

    resumed, other_generator = make(seed=5)
    distribute(load_file(tmp_path / "state.safetensors"), resumed.modules(), resumed.optimizers())
    other_generator.set_state(random_state)
    assert train(resumed, other_generator, 3) == expected
    assert same(tensors(resumed), tensors(model))


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (16, 3), (28, 1), (32, 3), (36, 1), (64, 1)])
def test_images_of_every_size_are_encoded_and_decoded(size: int, channels: int) -> None:
    model, generator = make(size=size, channels=channels)
    real = images(size, channels)
    assert all(loss.isfinite() for loss in model.train_step(real, real, generator).values())
    generated = model.generate(torch.arange(5), torch.randn(5, model.noise_dim, generator=generator))
    assert generated.shape == (5, channels, size, size)
    assert generated.min() >= -1 and generated.max() <= 1
    assert model.category_logits(real).shape == (BATCH, 5)
    assert model.reconstruct(real).shape == real.shape


def test_losses_stay_finite_with_certain_posteriors() -> None:
    model, generator = make()
    last = model.encoder.layers[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.bias[6:] = torch.tensor([500.0, -500.0, 0.0, 0.0, -500.0])
    losses = train(model, generator, 5)
    assert all(math.isfinite(loss) for loss in losses)
    assert all(weight.isfinite().all() for weight in tensors(model).values())


def test_bf16_trains_and_its_losses_are_float32() -> None:
    model, generator = make(precision="bf16")
    losses = model.train_step(images(), images(), generator)
    assert all(loss.dtype == torch.float32 and loss.isfinite() and not loss.requires_grad for loss in losses.values())


def test_the_reconstruction_gets_better() -> None:
    model, generator = make(capacity_gamma=1.0)
    losses = [model.train_step(images(), images(), generator)["reconstruction_loss"].item() for _ in range(60)]
    assert sum(losses[-5:]) < sum(losses[:5])


def test_the_prior_is_uniform() -> None:
    model, _ = make()
    torch.testing.assert_close(model.prior_probabilities(), torch.full((5,), 0.2))

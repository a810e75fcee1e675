"""Models of a user's own: a method of theirs, trained, saved, loaded and exported like any other."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from ray import cloudpickle
from torch import Tensor, nn

from eig_tune.data import ImageData
from eig_tune.errors import CheckpointError, EigTuneError
from eig_tune.export.programs import write_programs
from eig_tune.models import METHODS, own_methods, register_method
from eig_tune.models.base import Model, ModelSetup
from eig_tune.models.infogan import InfoGan
from eig_tune.training import TrainConfig
from eig_tune.training.checkpoint import read_run, read_tensors, write_weights
from eig_tune.training.loop import TrialData, fit, model_of


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Forget afterwards what a test has registered."""
    before = dict(METHODS)
    yield
    METHODS.clear()
    METHODS.update(before)


class PlainGenerator(nn.Module):
    """One layer from noise and code to pixels."""

    def __init__(self, inputs: int, size: int, channels: int) -> None:
        super().__init__()
        self.layer, self.shape = nn.Linear(inputs, channels * size * size), (channels, size, size)

    def forward(self, noise: Tensor, code: Tensor) -> Tensor:
        pixels: Tensor = self.layer(torch.cat([noise, code], dim=1))
        return torch.unflatten(pixels.tanh(), 1, self.shape)


class PlainGan(InfoGan):
    """Elastic-InfoGAN with a generator of one layer."""

    def make_generator(self, setup: ModelSetup) -> nn.Module:
        inputs = setup.networks.noise_dim + setup.networks.categories
        return PlainGenerator(inputs, setup.image_size, setup.channels)


class Averager:
    """A model of another kind: it learns the mean image alone, and finds categories by brightness."""

    categories = 10
    noise_dim = 2
    uses_augmented = False

    def __init__(self, setup: ModelSetup) -> None:
        self.mean = PlainGenerator(self.noise_dim + self.categories, setup.image_size, setup.channels)
        nn.init.zeros_(self.mean.layer.weight)
        self.head = nn.Linear(1, self.categories)
        self._adam = torch.optim.Adam(self.mean.parameters(), lr=0.1)

    def train_step(self, real_NCHW: Tensor, augmented_NCHW: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        noise, code = torch.zeros(len(real_NCHW), self.noise_dim), torch.zeros(len(real_NCHW), self.categories)
        loss = (self.mean(noise, code) - real_NCHW).square().mean()
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()
        return {"mean_loss": loss.detach()}

    def modules(self) -> dict[str, nn.Module]:
        return {"mean": self.mean, "head": self.head}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"mean": self._adam}

    @torch.no_grad()
    def generate(self, categories_N: Tensor, noise_ND: Tensor) -> Tensor:
        images: Tensor = self.generator_program()(noise_ND, categories_N)
        return images

    @torch.no_grad()
    def category_logits(self, images_NCHW: Tensor) -> Tensor:
        logits: Tensor = self.head(images_NCHW.mean(dim=(1, 2, 3))[:, None])
        return logits

    def prior_probabilities(self) -> Tensor:
        return torch.full((self.categories,), 0.1)

    def encoder_program(self) -> nn.Module:
        return nn.Sequential(nn.Flatten(1), nn.AdaptiveAvgPool1d(1), self.head, nn.Softmax(dim=1))

    def generator_program(self) -> nn.Module:
        return OfCategory(self.mean, self.categories)


class OfCategory(nn.Module):
    def __init__(self, layer: nn.Module, categories: int) -> None:
        super().__init__()
        self.layer, self.categories = layer, categories

    def forward(self, noise: Tensor, category: Tensor) -> Tensor:
        images: Tensor = self.layer(noise, nn.functional.one_hot(category, self.categories).float())
        return images


def last_checkpoint(config: TrainConfig, data: TrialData, folder: Path) -> Path:
    for progress in fit(config, data):
        progress.save(folder / str(progress.step))
    return folder / str(config.train.steps)


@pytest.mark.parametrize("model", [PlainGan, Averager])
def test_own_model_is_trained_saved_and_exported(
    model: type[Model], tiny_config: TrainConfig, trial_data: TrialData, tmp_path: Path
) -> None:
    register_method(METHODS["elastic-infogan"].with_model("mine", model))
    saved = last_checkpoint(tiny_config.with_params({"method": "mine"}), trial_data, tmp_path)
    write_weights(saved, tmp_path / "weights")
    record = read_run(tmp_path / "weights")
    loaded = model_of(record, read_tensors(tmp_path / "weights"))
    assert type(loaded) is model
    differences = write_programs(loaded, record.image_size, record.channels, tmp_path)
    assert len(differences) == 4


def test_run_with_an_own_model_is_resumed_as_if_nothing_had_happened(
    tiny_config: TrainConfig, trial_data: TrialData, tmp_path: Path
) -> None:
    register_method(METHODS["elastic-infogan"].with_model("plain-gan", PlainGan))
    config = tiny_config.with_params({"method": "plain-gan"})
    whole = [progress.metrics() for progress in fit(config, trial_data)]
    last_checkpoint(config, trial_data, tmp_path)
    assert [progress.metrics() for progress in fit(config, trial_data, resume=tmp_path / "2")] == whole[1:]


def test_checkpoint_of_an_own_method_says_that_it_must_be_registered(
    tiny_config: TrainConfig, trial_data: TrialData, tmp_path: Path
) -> None:
    register_method(METHODS["elastic-infogan"].with_model("plain-gan", PlainGan))
    saved = last_checkpoint(tiny_config.with_params({"method": "plain-gan"}), trial_data, tmp_path)
    del METHODS["plain-gan"]
    with pytest.raises(CheckpointError, match=r"no method 'plain-gan' here; .* register it from Python first"):
        read_run(saved)


def test_trial_data_takes_own_methods_into_another_process(tiny_config: TrainConfig, few_digits: ImageData) -> None:
    """As Ray's workers get it: pickled by value, into a process that knows the built-in methods only."""
    register_method(METHODS["elastic-infogan"].with_model("plain-gan", PlainGan))
    document = tiny_config.with_params({"method": "plain-gan"}).model_dump()
    pickled = cloudpickle.dumps(TrialData(few_digits, None))
    del METHODS["plain-gan"]
    with pytest.raises(ValidationError, match="no such method"):
        TrainConfig.model_validate(document)
    data = pickle.loads(pickled)
    data.register()
    last = list(fit(TrainConfig.model_validate(document), data))[-1]
    assert isinstance(last.run.model.generator, PlainGenerator)  # type: ignore[attr-defined]


def test_own_method_replaces_its_former_self_and_none_of_eig_tune_s() -> None:
    first = METHODS["elastic-infogan"].with_model("mine", PlainGan)
    register_method(first)
    register_method(again := METHODS["gumbel-softmax"].with_model("mine", PlainGan))
    assert own_methods() == (again,)
    with pytest.raises(EigTuneError, match="method joint-vae: eig-tune has one of this name"):
        register_method(METHODS["elastic-infogan"].with_model("joint-vae", PlainGan))

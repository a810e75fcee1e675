"""The average of weights: what it is, that it is what is evaluated and kept, and that it survives a checkpoint."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from eig_tune.models import METHODS
from eig_tune.models.base import ModelSetup, build_model
from eig_tune.models.networks import NETWORKS
from eig_tune.training import TrainConfig, checkpoint
from eig_tune.training.average import WeightAverage
from eig_tune.training.loop import Run, TrialData, fit, read_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=NETWORKS)
def tiny_config(tiny_config: TrainConfig, request: pytest.FixtureRequest) -> TrainConfig:
    """The smallest run, of each network."""
    return tiny_config.with_params({"network": request.param})


@pytest.mark.parametrize("method", ["elastic-infogan", "joint-vae"])
def test_average_is_that_of_the_formula(tiny_config: TrainConfig, method: str) -> None:
    shape = (8, 1, torch.full((10,), 0.1))
    setup = ModelSetup(METHODS[method], tiny_config.model, tiny_config.train, *shape, torch.Generator().manual_seed(0))
    live = build_model(setup)
    average = WeightAverage(live, build_model(replace(setup, generator=torch.Generator())), decay=0.5)
    expected = {name: value.clone() for name, value in checkpoint.collect(live.modules(), {}).items()}
    for step in range(1, 6):
        for module in live.modules().values():
            for value in module.state_dict().values():
                value.copy_(value + step)
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        for name, value in checkpoint.collect(live.modules(), {}).items():
            now = decay * expected[name] + (1 - decay) * value if value.is_floating_point() else value
            expected[name] = now.clone()
    for name, value in checkpoint.collect(average.model.modules(), {}).items():
        torch.testing.assert_close(value, expected[name])


def test_training_is_the_same_with_and_without_an_average(tiny_config: TrainConfig, trial_data: TrialData) -> None:
    runs = [Run(tiny_config.with_params({"ema_decay": decay}), trial_data, CPU) for decay in (0.0, 0.9)]
    losses = [run.advance(3) for run in runs]
    assert losses[0] == losses[1]
    first, second = (checkpoint.collect(run.model.modules(), {}) for run in runs)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_average_is_evaluated_and_live_weights_on_request(tiny_config: TrainConfig, trial_data: TrialData) -> None:
    plain, averaged = (Run(tiny_config.with_params({"ema_decay": d}), trial_data, CPU) for d in (0.0, 0.9))
    plain.advance(4)
    averaged.advance(4)
    assert averaged.evaluate(live=True).metrics == plain.evaluate().metrics
    assert averaged.evaluate().metrics != plain.evaluate().metrics
    assert plain.evaluated_model is plain.model


def test_checkpoint_has_both_and_what_is_exported_is_the_average(
    tiny_config: TrainConfig, trial_data: TrialData, tmp_path: Path
) -> None:
    *_, last = fit(tiny_config, trial_data, device=CPU)
    last.save(tmp_path / "checkpoint")
    checkpoint.write_weights(tmp_path / "checkpoint", tmp_path / "weights")
    live = checkpoint.collect(last.run.model.modules(), {})
    average = checkpoint.collect(last.run.evaluated_model.modules(), {})
    tensors = checkpoint.read_tensors(tmp_path / "checkpoint")
    assert all(torch.equal(tensors[name], value) for name, value in live.items())
    weights = checkpoint.read_tensors(tmp_path / "weights")
    assert weights.keys() == average.keys()
    for folder in ("checkpoint", "weights"):
        read = checkpoint.collect(read_model(tmp_path / folder)[1].modules(), {})
        assert all(torch.equal(read[name], value) for name, value in average.items())


def test_checkpoint_from_before_there_were_averages_goes_on(
    tiny_config: TrainConfig, trial_data: TrialData, tmp_path: Path
) -> None:
    """Its config names no decay, and it has live weights only; averaging begins there."""
    first = next(iter(fit(tiny_config.with_params({"ema_decay": 0.0}), trial_data, device=CPU)))
    tensors, record = first.run.tensors(), first.run.record()
    checkpoint.save(tmp_path, tensors, replace(record, config=tiny_config))
    file = tmp_path / checkpoint.RUN_FILE
    file.write_text(file.read_text().replace('"ema_decay": 0.995,', ""))
    assert "ema_decay" not in file.read_text()
    run = Run(tiny_config, trial_data, CPU)
    run.restore(tmp_path)
    average = checkpoint.collect(run.evaluated_model.modules(), {})
    assert all(torch.equal(tensors[name], value) for name, value in average.items())
    assert torch.equal(
        torch.cat([value.flatten() for value in average.values()]),
        torch.cat([v.flatten() for v in checkpoint.collect(read_model(tmp_path)[1].modules(), {}).values()]),
    )

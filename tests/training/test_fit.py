"""The training loop: reports, seeds, and going on from a checkpoint as if nothing had happened."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from eig_tune.data import ImageData
from eig_tune.evaluation.metrics import METRICS
from eig_tune.models import METHODS
from eig_tune.models.networks import NETWORKS
from eig_tune.training import TrainConfig
from eig_tune.training.loop import Progress, TrialData, fit

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=NETWORKS)
def tiny_config(tiny_config: TrainConfig, request: pytest.FixtureRequest) -> TrainConfig:
    """The smallest run, of each network."""
    return tiny_config.with_params({"network": request.param})


def run(config: TrainConfig, data: TrialData, resume: Path | None = None) -> list[Progress]:
    return list(fit(config, data, resume=resume, device=CPU))


def weights(progress: Progress) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in progress.run.tensors().items()}


def assert_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    different = [name for name, value in first.items() if not torch.equal(value, second[name])]
    assert different == []


@pytest.fixture(scope="module")
def uninterrupted(
    tiny_config: TrainConfig, trial_data: TrialData, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Progress], dict[str, Tensor], Path]:
    """Its reports, its last weights, and a checkpoint of every report, named by its step."""
    directory = tmp_path_factory.mktemp("uninterrupted")
    reports = []
    for progress in fit(tiny_config, trial_data, device=CPU):
        progress.save(directory / str(progress.step))
        reports.append(progress)
    return reports, weights(reports[-1]), directory


def test_reports_come_every_so_many_steps_and_at_the_end(
    uninterrupted: tuple[list[Progress], dict[str, Tensor], Path],
) -> None:
    assert [progress.step for progress in uninterrupted[0]] == [2, 4, 5]


@pytest.mark.parametrize(("steps", "every", "expected"), [(4, 2, [2, 4]), (3, 10, [3]), (3, 1, [1, 2, 3])])
def test_budget_is_met_exactly(
    tiny_config: TrainConfig, trial_data: TrialData, steps: int, every: int, expected: list[int]
) -> None:
    config = tiny_config.with_params({"steps": steps, "report_every": every})
    assert [progress.step for progress in run(config, trial_data)] == expected


def test_report_has_every_loss_and_metric(uninterrupted: tuple[list[Progress], dict[str, Tensor], Path]) -> None:
    for progress in uninterrupted[0]:
        assert set(progress.evaluation.metrics) == set(METRICS)
        assert progress.metrics() == {**progress.losses, **progress.evaluation.metrics}
        assert {"discriminator_loss", "generator_loss", "mutual_information", "transformation", "entropy"} == set(
            progress.losses
        )
        assert all(np.isfinite(value) for value in progress.metrics().values())
        assert progress.train_seconds > 0
        assert progress.evaluation_seconds > 0


def test_last_report_is_evaluated_on_more_images(uninterrupted: tuple[list[Progress], dict[str, Tensor], Path]) -> None:
    tables = [progress.evaluation.table for progress in uninterrupted[0]]
    assert [table.sum() for table in tables if table is not None] == [20, 20, 30]


def test_losses_are_means_since_the_last_report(tiny_config: TrainConfig, trial_data: TrialData) -> None:
    each = run(tiny_config.with_params({"steps": 4, "report_every": 1}), trial_data)
    pairs = run(tiny_config.with_params({"steps": 4, "report_every": 2}), trial_data)
    for progress, (first, second) in zip(pairs, list(pairwise(each))[::2], strict=True):
        for name, mean in progress.losses.items():
            assert mean == pytest.approx((first.losses[name] + second.losses[name]) / 2, rel=1e-5)


def test_same_seed_gives_identical_metrics_and_weights(
    tiny_config: TrainConfig, trial_data: TrialData, uninterrupted: tuple[list[Progress], dict[str, Tensor], Path]
) -> None:
    torch.manual_seed(12345)
    again = run(tiny_config, trial_data)
    assert [progress.metrics() for progress in again] == [progress.metrics() for progress in uninterrupted[0]]
    assert_same(weights(again[-1]), uninterrupted[1])


def test_other_seed_gives_another_run(
    tiny_config: TrainConfig, trial_data: TrialData, uninterrupted: tuple[list[Progress], dict[str, Tensor], Path]
) -> None:
    other = run(tiny_config.with_params({"seed": 1}), trial_data)
    assert other[0].losses != uninterrupted[0][0].losses


def test_reports_do_not_disturb_training(
    tiny_config: TrainConfig, trial_data: TrialData, uninterrupted: tuple[list[Progress], dict[str, Tensor], Path]
) -> None:
    for every in (1, 5):
        other = run(tiny_config.with_params({"report_every": every}), trial_data)
        assert_same(weights(other[-1]), uninterrupted[1])
        assert other[-1].evaluation.metrics == uninterrupted[0][-1].evaluation.metrics


@pytest.mark.parametrize("index", [0, 1])
def test_resumed_run_equals_the_uninterrupted_one_bit_for_bit(
    tiny_config: TrainConfig,
    trial_data: TrialData,
    uninterrupted: tuple[list[Progress], dict[str, Tensor], Path],
    index: int,
) -> None:
    reports, last, directory = uninterrupted
    torch.manual_seed(999)
    resumed = run(tiny_config, trial_data, directory / str(reports[index].step))
    assert [progress.step for progress in resumed] == [progress.step for progress in reports[index + 1 :]]
    assert [progress.metrics() for progress in resumed] == [progress.metrics() for progress in reports[index + 1 :]]
    assert_same(weights(resumed[-1]), last)


def test_raised_budget_goes_on_as_if_it_had_been_so_from_the_start(
    tiny_config: TrainConfig, trial_data: TrialData, uninterrupted: tuple[list[Progress], dict[str, Tensor], Path]
) -> None:
    """From step 5, where the smaller budget ended between two reports of the larger one."""
    longer = tiny_config.with_params({"steps": 8})
    whole = run(longer, trial_data)
    resumed = run(longer, trial_data, uninterrupted[2] / "5")
    assert resumed[-1].step == whole[-1].step == 8
    assert_same(weights(resumed[-1]), weights(whole[-1]))
    assert resumed[-1].evaluation.metrics == whole[-1].evaluation.metrics


def test_raised_budget_comes_back_to_the_steps_of_its_reports(
    tiny_config: TrainConfig, trial_data: TrialData, uninterrupted: tuple[list[Progress], dict[str, Tensor], Path]
) -> None:
    """So that its reports, and rungs, are at the steps of every other trial's."""
    resumed = run(tiny_config.with_params({"steps": 8}), trial_data, uninterrupted[2] / "5")
    assert [progress.step for progress in resumed] == [6, 8]


def test_finished_run_has_nothing_more_to_report(
    tiny_config: TrainConfig, trial_data: TrialData, uninterrupted: tuple[list[Progress], dict[str, Tensor], Path]
) -> None:
    assert run(tiny_config, trial_data, uninterrupted[2] / "5") == []


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs_and_resumes(
    tiny_config: TrainConfig, trial_data: TrialData, tmp_path: Path, method: str
) -> None:
    config = tiny_config.with_params({"method": method, "steps": 3, "category_loss_trains_front_end": False})
    reports = fit(config, trial_data, device=CPU)
    next(reports).save(tmp_path)
    last = next(reports)
    (resumed,) = run(config, trial_data, tmp_path)
    assert resumed.metrics() == last.metrics()
    assert_same(weights(resumed), weights(last))


def test_bf16_run_resumes_bit_for_bit(tiny_config: TrainConfig, trial_data: TrialData, tmp_path: Path) -> None:
    config = tiny_config.with_params({"precision": "bf16", "steps": 3})
    reports = fit(config, trial_data, device=CPU)
    next(reports).save(tmp_path)
    last = next(reports)
    (resumed,) = run(config, trial_data, tmp_path)
    assert_same(weights(resumed), weights(last))


def test_unlabelled_images_are_trained_on_without_a_classifier(
    tiny_config: TrainConfig, unlabelled_digits: ImageData
) -> None:
    reports = run(tiny_config, TrialData(unlabelled_digits, None))
    assert set(reports[-1].evaluation.metrics) == {name for name, metric in METRICS.items() if not metric.needs_labels}


def test_labels_of_the_pool_do_not_reach_the_run(
    tiny_config: TrainConfig,
    unlabelled_digits: ImageData,
    uninterrupted: tuple[list[Progress], dict[str, Tensor], Path],
) -> None:
    """A learned prior on the same images without their labels: the same weights."""
    reports = run(tiny_config, TrialData(unlabelled_digits, None))
    assert_same(weights(reports[-1]), uninterrupted[1])


def test_caller_may_stop_at_any_report(tiny_config: TrainConfig, trial_data: TrialData) -> None:
    reports = fit(tiny_config, trial_data, device=CPU)
    next(reports)
    reports.close()  # type: ignore[attr-defined]
    assert list(reports) == []


def test_images_given_are_left_alone(tiny_config: TrainConfig, trial_data: TrialData) -> None:
    """Ray hands them over read-only, and shares them with every other trial."""
    before = trial_data.images.fingerprint()
    trial_data.images.training.pixels.setflags(write=False)
    run(tiny_config.with_params({"steps": 2}), trial_data)
    assert trial_data.images.fingerprint() == before

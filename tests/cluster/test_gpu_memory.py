"""How many trials a GPU takes: the arithmetic, and what is measured."""

import os
from pathlib import Path

import pytest
import torch

from eig_tune.cluster.gpu_memory import Need, _mps_runs, largest_runs, measure
from eig_tune.config.space import parse_spec
from eig_tune.training.loop import TrialData

GIB = 2**30


@pytest.mark.parametrize(
    ("total", "reserved", "context", "trials"),
    [
        (40 * GIB, 4 * GIB, GIB // 2, 8),  # 36 GiB for 4.5 GiB each
        (40 * GIB, 4 * GIB + 1, GIB // 2, 7),
        (16 * GIB, 12 * GIB, GIB // 2, 1),
        (16 * GIB, 16 * GIB, GIB // 2, 1),  # the probe itself ran out of memory
    ],
)
def test_trials_share_nine_tenths_of_the_memory(total: int, reserved: int, context: int, trials: int) -> None:
    assert Need("a device", total, reserved, context, shared_by_mps=True).trials == trials
    assert Need("a device", total, reserved, context, shared_by_mps=False).trials == min(trials, 2)


@pytest.mark.parametrize(("shared_by_mps", "trials"), [(True, 16), (False, 2)])
def test_large_gpu_is_given_no_more_trials_than_compute_side_by_side(shared_by_mps: bool, trials: int) -> None:
    assert Need("a device", 140 * GIB, GIB, GIB, shared_by_mps).trials == trials


def test_multi_process_service_is_known_by_its_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    assert not _mps_runs()
    os.mkfifo(tmp_path / "control")
    assert _mps_runs()


def test_largest_run_has_all_that_needs_memory_at_its_most() -> None:
    spec = parse_spec(
        {
            "dataset": {"name": "digits"},
            "train": {"steps": 1000, "report_every": 500},
            "asha": {"grace": 500},
            "search": {
                "lambda_1": {"loguniform": [0.3, 3]},
                "width": {"choice": [64, 16]},
                "batch_size": {"randint": [32, 128]},
                "distance": {"choice": ["l2", "nt_xent"]},
                "method": {"choice": ["elastic-infogan", "joint-vae"]},
                "network": {"choice": ["infogan", "dcgan"]},
            },
        },
        "test",
    )
    runs = largest_runs(spec)
    assert {(run.method, run.train.distance, run.model.network) for run in runs} == {
        (method, distance, network)
        for method in ("elastic-infogan", "joint-vae")
        for distance in ("l2", "nt_xent")
        for network in ("infogan", "dcgan")
    }
    assert {(run.model.width, run.train.batch_size) for run in runs} == {(64, 128)}
    assert all(run.train.steps == run.train.report_every < 10 for run in runs)


def test_without_a_gpu_nothing_is_measured(trial_data: TrialData) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert measure([], trial_data) is None

"""How much memory a trial is said to take, against what was measured of whole processes."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from eig_tune.data import ImageData
from eig_tune.models import METHODS, NetworkSettings
from eig_tune.models.base import Model, ModelSetup
from eig_tune.training import TrainConfig, TrainSettings
from eig_tune.training.size import memory_of_a_trial

OPERATING = Path(__file__).parents[2] / "docs" / "operating.md"


def run(width: int, network: str = "infogan") -> TrainConfig:
    return TrainConfig(model=NetworkSettings(width=width, noise_dim=62, network=network), train=TrainSettings())


def measured() -> dict[int, float]:
    """GiB by width, of the table's rows for 16 × 16, which the digits have as well."""
    rows = re.findall(r"^\| 16 × 16 \| (\d+) \|.*\| ([\d.]+) GiB \|", OPERATING.read_text(), re.MULTILINE)
    return {int(width): float(gib) for width, gib in rows}


@pytest.mark.parametrize(("width", "gib"), measured().items())
def test_estimate_is_near_what_was_measured(digits: ImageData, width: int, gib: float) -> None:
    assert digits.image_size == 16
    assert memory_of_a_trial([run(width)], digits, "cpu") / 2**30 == pytest.approx(gib, abs=0.2)


def test_largest_of_the_runs_counts(digits: ImageData) -> None:
    """A search over networks needs room for each of them."""
    small, large = run(32, "dcgan"), run(32, "infogan")
    alone = [memory_of_a_trial([each], digits, "cpu") for each in (small, large)]
    assert alone[0] < alone[1] == memory_of_a_trial([small, large], digits, "cpu")


def test_weights_lie_elsewhere_on_a_gpu(digits: ImageData) -> None:
    assert memory_of_a_trial([run(64)], digits, "cuda") < memory_of_a_trial([run(64)], digits, "cpu")


class Unmakeable:
    """A user's own model, with a mistake in it."""

    def __init__(self, setup: ModelSetup) -> None:
        raise RuntimeError(f"no model for {setup.image_size}")


def test_own_model_with_a_mistake_is_left_to_its_trial(digits: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = replace(METHODS["elastic-infogan"].model, load=lambda: cast("type[Model]", Unmakeable))
    monkeypatch.setitem(METHODS, "mine", replace(METHODS["elastic-infogan"], name="mine", model=kind))
    mine = run(64).model_copy(update={"method": "mine"})
    assert memory_of_a_trial([mine], digits, "cpu") < memory_of_a_trial([run(64)], digits, "cpu")


@pytest.mark.parametrize("method", ["elastic-infogan", "joint-vae"])
def test_a_look_at_a_model_imports_no_compiler(method: str) -> None:
    """PyTorch's, which takes seconds: a search counts the weights before it starts, and `predict` reads a model."""
    code = f"""
import sys
from eig_tune.data import DatasetConfig, load_images
from eig_tune.training import TrainConfig
from eig_tune.training.size import memory_of_a_trial
digits = load_images(DatasetConfig(name="digits"))
assert memory_of_a_trial([TrainConfig(method={method!r})], digits, "cpu") > 0.88 * 2**30
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert not {"torch._dynamo", "torch._inductor"} & set(done.stdout.split())

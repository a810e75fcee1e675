"""A search from Python with a metric and a model of its own, which this script alone knows; for test_own_search.py.

python own_search.py HOME
"""

import json
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from eig_tune.config.space import parse_spec
from eig_tune.evaluation.base import LabelledObservations, Metric
from eig_tune.evaluation.registry import register_metric
from eig_tune.home import Home
from eig_tune.models import METHODS, register_method
from eig_tune.models.base import ModelSetup
from eig_tune.models.infogan import InfoGan
from eig_tune.workflows.options import RunOptions
from eig_tune.workflows.search import run_search
from eig_tune.workflows.view import View


class OneLayer(nn.Module):
    """G of one layer."""

    def __init__(self, setup: ModelSetup) -> None:
        super().__init__()
        inputs, size = setup.networks.noise_dim + setup.networks.categories, setup.image_size
        self.layers = nn.Sequential(nn.Linear(inputs, size * size), nn.Tanh(), nn.Unflatten(1, (1, size, size)))

    def forward(self, noise: Tensor, code: Tensor) -> Tensor:
        images: Tensor = self.layers(torch.cat([noise, code], dim=1))
        return images


class MyGan(InfoGan):
    """Elastic-InfoGAN with that G."""

    def make_generator(self, setup: ModelSetup) -> nn.Module:
        return OneLayer(setup)


def purity(seen: LabelledObservations) -> float:
    """Share of held-out images in the commonest class of their category."""
    return float(seen.real_table_KC.max(axis=1).sum() / seen.real_table_KC.sum())


def main(home: Path) -> None:
    """Search, then print what every trial has reached."""
    register_metric(Metric("purity", purity, "purity on held-out images", "maximize", needs_labels=True))
    register_method(METHODS["elastic-infogan"].with_model("my-gan", MyGan))
    space = {
        "dataset": {"name": "digits"},
        "method": "my-gan",
        "model": {"width": 8, "noise_dim": 4},
        "train": {"steps": 100, "report_every": 50, "batch_size": 32, "generator_lr": 1e-3, "images_per_category": 10},
        "search": {"lambda_1": {"uniform": [0.5, 2]}},
        "objectives": {"purity": "maximize"},
        "asha": {"grace": 50},
        "trials": 2,
        "confirm": {"top": 1, "seeds": 1},
    }
    options = RunOptions("own", f"sqlite:///{home}/mlflow.db", gpus=0, cpus=1)
    outcome = run_search(parse_spec(space, "space"), options, Home(home), View())
    reached = [trial.last.metrics["purity"] for trial in outcome.trials if trial.last]
    print(json.dumps({"purity": reached, "confirmed": [c.means["purity"] for c in outcome.confirmed]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

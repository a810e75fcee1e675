"""The search as a careful user would write it today with Ray, Optuna and MLflow, without eig_tune.

    python -m benchmarks.plain_script --space search_spaces/digits.yaml [--trials N]

It takes its numbers from a space file of eig_tune and makes its own networks, losses and metrics; only the
arrays of images are eig_tune's, so that both searches see the same ones. It searches for the best NMI.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import numpy as np
import ray
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch
from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, gumbel_softmax, normalize, one_hot, softplus
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision import transforms

from eig_tune.data import DatasetConfig, ImageData, load_images

METRIC, MODE = "nmi", "max"
NEEDS = {"lambda_1", "lambda_2", "lambda_3", "tau", "prior_lr"}
DEFAULTS: dict[str, Any] = {
    "width": 64, "noise_dim": 62, "categories": 10, "steps": 30_000, "report_every": 1000, "batch_size": 64,
    "generator_lr": 2e-4, "discriminator_lr": 2e-4, "distance": "nt_xent", "precision": "fp32",
    "images_per_category": 200, "final_images_per_category": 1000,
}  # fmt: skip
DISTRIBUTIONS = {"uniform": tune.uniform, "loguniform": tune.loguniform}
TO_TENSOR = [transforms.ToTensor(), transforms.Normalize(0.5, 0.5)]
AUGMENTED = transforms.Compose(
    [
        transforms.RandomAffine(
            20, translate=(0.05, 0.05), scale=(0.9, 1.1), shear=5, interpolation=transforms.InterpolationMode.BILINEAR
        ),
        transforms.RandomPerspective(distortion_scale=0.1, p=1),
        *TO_TENSOR,
    ]
)


class TwoViews(Dataset[tuple[Tensor, Tensor]]):
    """Every image plain and augmented."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.images = [Image.fromarray(image) for image in pixels[:, 0]]
        self.plain = transforms.Compose(TO_TENSOR)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.plain(self.images[index]), AUGMENTED(self.images[index])


def generator(width: int, inputs: int, size: int) -> nn.Sequential:
    side, hidden = size // 4, 16 * width
    flat = 2 * width * side * side
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.BatchNorm1d(hidden), nn.ReLU(),
        nn.Linear(hidden, flat), nn.BatchNorm1d(flat), nn.ReLU(),
        nn.Unflatten(1, (2 * width, side, side)),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1), nn.BatchNorm2d(width), nn.ReLU(),
        nn.ConvTranspose2d(width, 1, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip


def front_end(width: int, size: int) -> nn.Sequential:
    hidden = 16 * width
    return nn.Sequential(
        nn.Conv2d(1, width, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, 2, 1), nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(2 * width * (size // 4) ** 2, hidden), nn.BatchNorm1d(hidden), nn.LeakyReLU(0.2),
    )  # fmt: skip


def classifier(size: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * (size // 4) ** 2, classes),
    )  # fmt: skip


def init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        nn.init.constant_(module.get_parameter("bias"), 0.0)


def entropy(logits: Tensor) -> Tensor:
    entropies: Tensor = torch.special.entr(logits.softmax(dim=1)).sum(dim=1)
    return entropies.mean()


def nt_xent(first: Tensor, second: Tensor) -> Tensor:
    both = normalize(torch.cat([first, second]), dim=1)
    similarity = (both @ both.T).fill_diagonal_(-torch.inf)
    count = len(first)
    partner = torch.cat([torch.arange(count, 2 * count), torch.arange(count)])
    return cross_entropy(similarity, partner)


class ElasticInfoGan:
    """Networks, learned prior and optimisers of one trial."""

    def __init__(self, config: Mapping[str, Any], size: int) -> None:
        self.config, width, categories = config, config["width"], config["categories"]
        self.g = generator(width, config["noise_dim"] + categories, size).apply(init_weights)
        self.trunk = front_end(width, size).apply(init_weights)
        self.d = nn.Linear(16 * width, 1).apply(init_weights)
        self.features = nn.Sequential(nn.Linear(16 * width, 128), nn.BatchNorm1d(128), nn.LeakyReLU(0.2))
        self.features.apply(init_weights)
        self.q = nn.Linear(128, categories).apply(init_weights)
        self.prior_logits = nn.Parameter(torch.zeros(categories))
        q_parameters = [*self.features.parameters(), *self.q.parameters()]
        self.g_optimizer = torch.optim.Adam(
            [
                {"params": [*self.g.parameters(), *q_parameters]},
                {"params": [self.prior_logits], "lr": config["prior_lr"]},
            ],
            lr=config["generator_lr"],
            betas=(0.5, 0.999),
        )
        d_parameters = [*self.trunk.parameters(), *self.d.parameters()]
        self.d_optimizer = torch.optim.Adam(d_parameters, lr=config["discriminator_lr"], betas=(0.5, 0.999))

    def train_step(self, real: Tensor, augmented: Tensor) -> dict[str, float]:
        log_prior = self.prior_logits.log_softmax(dim=0).expand(len(real), -1)
        code = gumbel_softmax(log_prior, tau=self.config["tau"])
        fake = self.g(torch.cat([torch.randn(len(real), self.config["noise_dim"]), code], dim=1))

        real_trunk = self.trunk(real)
        real_logits, fake_logits = self.d(real_trunk), self.d(self.trunk(fake.detach()))
        d_loss = softplus(-real_logits).mean() + softplus(fake_logits).mean()
        self.d_optimizer.zero_grad()
        d_loss.backward()
        self.d_optimizer.step()

        g_loss = self.generator_loss(fake, code, real_trunk.detach(), augmented)
        self.g_optimizer.zero_grad()
        g_loss.backward()
        self.g_optimizer.step()
        return {"d_loss": d_loss.item(), "g_loss": g_loss.item()}

    def generator_loss(self, fake: Tensor, code: Tensor, real_trunk: Tensor, augmented: Tensor) -> Tensor:
        trunk = self.trunk(fake)
        information = (code * self.q(self.features(trunk)).log_softmax(dim=1)).sum(dim=1).mean()
        information = information + torch.special.entr(self.prior()).sum()
        with torch.no_grad():
            augmented_trunk = self.trunk(augmented)
        features, augmented_features = self.features(real_trunk), self.features(augmented_trunk)
        entropies = entropy(self.q(features)) + entropy(self.q(augmented_features))
        loss: Tensor = softplus(-self.d(trunk)).mean() - self.config["lambda_1"] * information
        loss = loss + self.config["lambda_2"] * nt_xent(features, augmented_features)
        lambda_3: float = self.config["lambda_3"]
        return loss + lambda_3 * entropies

    def prior(self) -> Tensor:
        return torch.softmax(self.prior_logits, dim=0)

    @torch.no_grad()
    def evaluate(self, classifier: nn.Module, per_category: int, true_classes: NDArray[np.float64]) -> dict[str, float]:
        self.g.eval()
        categories = torch.arange(self.config["categories"]).repeat(per_category)
        classes = []
        for part in categories.split(500):
            code = one_hot(part, self.config["categories"]).float()
            noise = torch.randn(len(part), self.config["noise_dim"])
            classes.append(classifier(self.g(torch.cat([noise, code], dim=1))).argmax(dim=1))
        self.g.train()
        predicted, prior = torch.cat(classes).numpy(), self.prior().numpy()
        return {
            "nmi": float(normalized_mutual_info_score(categories.numpy(), predicted)),
            "prior_rmse": prior_rmse(categories.numpy(), predicted, prior, true_classes),
        }


def prior_rmse(
    categories: NDArray[np.int64], predicted: NDArray[np.int64], prior: NDArray[np.float32], true: NDArray[np.float64]
) -> float:
    learned = np.zeros(len(true))
    for category, share in enumerate(prior):
        learned[np.bincount(predicted[categories == category]).argmax()] += share
    return float(np.sqrt(np.mean((learned - true) ** 2)))


def train_classifier(images: ImageData) -> nn.Module:
    """The evaluation classifier, trained on the labelled images."""
    inputs = torch.tensor(images.trainable.pixels).float() / 127.5 - 1
    loader = DataLoader(TensorDataset(inputs, torch.tensor(images.trainable.labels)), 128, shuffle=True)
    model = classifier(images.image_size, classes=10)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(20):
        for batch, labels in loader:
            optimizer.zero_grad()
            cross_entropy(model(batch), labels).backward()
            optimizer.step()
    return model.eval()


def train_trial(config: dict[str, Any], images: ImageData, seed: int) -> None:
    torch.manual_seed(seed)
    classifier = train_classifier(images)
    model = ElasticInfoGan(config, images.image_size)
    true_classes = np.bincount(np.asarray(images.training.labels)) / len(images.training)
    loader = DataLoader(TwoViews(images.training.pixels), config["batch_size"], shuffle=True, drop_last=True)
    for step, (real, augmented) in enumerate(endless(loader), start=1):
        losses = model.train_step(real, augmented)
        last = step >= config["steps"]
        if last or step % config["report_every"] == 0:
            count = config["final_images_per_category" if last else "images_per_category"]
            tune.report({"step": step, **losses, **model.evaluate(classifier, count, true_classes)})
        if last:
            return


def endless(loader: DataLoader[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield from loader


def param_space(space: Mapping[str, Any]) -> dict[str, Any]:
    """Fixed values and Ray's distributions, by flat name."""
    config: dict[str, Any] = {**DEFAULTS, **space.get("model", {}), **space.get("train", {})}
    for name, distribution in space["search"].items():
        ((kind, values),) = distribution.items()
        config[name] = tune.choice(values) if kind == "choice" else DISTRIBUTIONS[kind](*values)
    if config.keys() != DEFAULTS.keys() | NEEDS or (config["distance"], config["precision"]) != ("nt_xent", "fp32"):
        raise SystemExit(f"this script cannot do {sorted(config.keys() ^ (DEFAULTS.keys() | NEEDS))}, or this distance")
    return config


def search(space: Mapping[str, Any], trials: int, home: Path) -> tune.ResultGrid:
    config, seed = param_space(space), space.get("seed", 0)
    images = load_images(DatasetConfig.model_validate(space["dataset"]))
    trainable = tune.with_parameters(train_trial, images=images, seed=seed)
    searcher = OptunaSearch(metric=METRIC, mode=MODE, seed=seed, points_to_evaluate=space.get("start_from"))
    asha, steps = space["asha"], config["steps"]
    scheduler = ASHAScheduler(
        time_attr="step", metric=METRIC, mode=MODE,
        max_t=steps, grace_period=asha["grace"], reduction_factor=asha["reduction_factor"],
    )  # fmt: skip
    mlflow_logger = MLflowLoggerCallback(tracking_uri=f"sqlite:///{home}/mlflow.db", experiment_name="plain")
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space=config,
        tune_config=tune.TuneConfig(
            search_alg=searcher, scheduler=scheduler, num_samples=trials, max_concurrent_trials=2
        ),
        run_config=tune.RunConfig(name="plain", storage_path=str(home / "ray"), callbacks=[mlflow_logger], verbose=0),
    )
    return tuner.fit()


def main() -> None:
    """Search, then print one line of JSON."""
    started = time.perf_counter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", type=Path, required=True)
    parser.add_argument("--trials", type=int, help="default: as the space file says")
    parser.add_argument("--home", type=Path, help="folder for everything (default: a temporary one)")
    arguments = parser.parse_args()
    space = yaml.safe_load(arguments.space.read_text())
    home = (arguments.home or Path(tempfile.mkdtemp(prefix="plain-"))).resolve()
    home.mkdir(parents=True, exist_ok=True)
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    results = search(space, arguments.trials or space["trials"], home)
    done = [result.metrics for result in results if "step" in (result.metrics or {})]
    shown = [{"metrics": {name: metrics[name] for name in ("nmi", "prior_rmse")}} for metrics in done]
    summary = {
        "wall_seconds": time.perf_counter() - started,
        "steps": sum(metrics["step"] for metrics in done),
        "trials": shown,
        "best": max(shown, key=lambda trial: trial["metrics"][METRIC]),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()

"""JointVAE on balanced images: how far its categories are classes, and pictures of what it has learned.

    python -m benchmarks.joint_vae --space benchmarks/mnist_width_32.yaml [--root DIR] [--out pictures]

Writes reconstructions.png (real images above their reconstructions) and traversals.png: for every category a row,
along which the continuous latent of the largest mean KL goes from -2 to 2; below it the same for all latents, in the
first category.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.machine import description
from eig_tune.config.space import load_spec
from eig_tune.data import load_images
from eig_tune.data.batches import to_unit_range
from eig_tune.evaluation.classifier import train_classifier
from eig_tune.evaluation.evaluator import to_pixels
from eig_tune.evaluation.sample_grid import sample_picture
from eig_tune.models.jointvae import JointVae
from eig_tune.training.loop import TrialData, fit

COLUMNS = 12
METRICS = ("nmi", "average_entropy", "nmi_real", "reconstruction_loss", "continuous_kl", "categorical_kl")


def main() -> None:
    """Train, print the metrics as they come, write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", type=Path, required=True)
    parser.add_argument("--root", help="where the images lie")
    parser.add_argument("--out", type=Path, default=Path("pictures"))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    changes = {"dataset.imbalance": "none", **({"dataset.root": arguments.root} if arguments.root else {})}
    spec = load_spec(arguments.space, changes)
    images = load_images(spec.dataset)
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(f"{description()}\n\n| step | {' | '.join(METRICS)} |\n|{'---|' * (len(METRICS) + 1)}")
    data = TrialData(images, train_classifier(images, arguments.out))
    for progress in fit(spec.fixed_config("joint-vae", arguments.seed, {}), data):
        measured = progress.metrics()
        print(f"| {progress.step} | {' | '.join(f'{measured[name]:.3f}' for name in METRICS)} |", flush=True)
    model = progress.run.evaluated_model
    assert isinstance(model, JointVae)
    seen = to_unit_range(torch.tensor(images.held_out.pixels[: 4 * COLUMNS])).to(model.device)
    pairs = zip(seen.split(COLUMNS), model.reconstruct(seen).split(COLUMNS), strict=True)
    _save(torch.stack([row for pair in pairs for row in pair]), arguments.out / "reconstructions.png")
    _save(torch.cat([across_categories(model, seen), across_latents(model)]), arguments.out / "traversals.png")


def across_categories(model: JointVae, images: Tensor) -> Tensor:
    """Images [K, COLUMNS, C, S, S]: the latent that carries most, in every category."""
    mean, log_variance, _ = model.encoder(images)
    kl = (mean.square() + log_variance.exp() - log_variance - 1).mean(dim=0)
    return torch.stack([_along(model, int(kl.argmax()), category) for category in range(model.categories)])


def across_latents(model: JointVae) -> Tensor:
    """Images [D, COLUMNS, C, S, S]: every latent in the first category."""
    return torch.stack([_along(model, latent, 0) for latent in range(model.noise_dim)])


def _along(model: JointVae, latent: int, category: int) -> Tensor:
    noise = torch.zeros(COLUMNS, model.noise_dim, device=model.device)
    noise[:, latent] = torch.linspace(-2, 2, COLUMNS)
    return model.generate(torch.full((COLUMNS,), category, device=model.device), noise)


def _save(rows: Tensor, file: Path) -> None:
    sample_picture(to_pixels(rows)).save(file)


if __name__ == "__main__":
    main()

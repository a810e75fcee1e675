"""Does `suggest-k` find how many classes there are? Digits of three classes, of which no run sees a label.

    python -m benchmarks.hidden_k [--seeds 3] [--steps 1500]

0, 1 and 7 of scikit-learn's digits, 170, 100 and 60 of them, at 16×16. Labels are given to the evaluation alone: the
table's NMI says what a choice of K was worth, and the agreement of seeds, which needs none, chooses.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

import eig_tune
from benchmarks.machine import description
from eig_tune.data import DatasetConfig, load_images

COUNTS = {0: 170, 1: 100, 7: 60}
CATEGORIES = (2, 3, 4, 5, 6, 8, 10)


def main() -> None:
    """Train, and print the table of all K."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1500)
    arguments = parser.parse_args()
    whole = load_images(DatasetConfig(name="digits", imbalance="none")).trainable
    assert whole.labels is not None
    chosen = np.concatenate([np.flatnonzero(whole.labels == digit)[:count] for digit, count in COUNTS.items()])
    space = eig_tune.load_space(
        Path("search_spaces/digits.yaml"),
        dataset={"name": "arrays", "image_size": 16, "channels": 1, "imbalance": "none"},
        train={"steps": arguments.steps, "report_every": arguments.steps},
        asha={"grace": arguments.steps},
    )
    with tempfile.TemporaryDirectory() as home:
        suggestion = eig_tune.suggest_k(
            space,
            whole.pixels[chosen, 0],
            whole.labels[chosen],
            categories=CATEGORIES,
            seeds=arguments.seeds,
            home=home,
            gpus=0,
        )
        print(f"{description()}\n\nDigits {COUNTS}, {arguments.steps} steps, {arguments.seeds} seeds of each K\n")
        table = suggestion.table
        print("| K | " + " | ".join(table.columns) + " |\n" + "|" + "---|" * (1 + len(table.columns)))
        for categories, row in table.iterrows():
            print(f"| {categories} | " + " | ".join(f"{value:.3f}" for value in row) + " |")
    print(f"\nRecommended: K = {suggestion.recommended}, certainty {suggestion.certainty:.0%}")


if __name__ == "__main__":
    main()

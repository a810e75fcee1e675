"""What share of a search's slots went into training.

eig-tune search … --json > search.json && python -m benchmarks.search_overhead search.json
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path


def main() -> None:
    """Print the share of one finished search."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("search", type=Path, help="what `eig-tune search --json` printed")
    print(f"{training_share(json.loads(parser.parse_args().search.read_text())):.1%} of slot time spent in training")


def training_share(search: Mapping[str, float]) -> float:
    """Seconds in training steps, of all trials, over the seconds that all slots were there."""
    return search["train_seconds"] / (search["slots"] * search["wall_seconds"])


if __name__ == "__main__":
    main()

"""A first space, and what it was made from, as JSON has it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from eig_tune.data.copies import find_copies
from eig_tune.data.facts import facts_of
from eig_tune.workflows.first_space import FirstSpace


def first_space_document(first: FirstSpace, file: Path) -> dict[str, Any]:
    """The file, the facts of the images, and the plan of the search; times in seconds, sizes in pixels.

    Args:
        first: the space.
        file: to which it was written.
    """
    seen, spec, plan = first.seen, first.spec, first.plan
    return {
        "space": str(file),
        "images": {
            **asdict(facts_of(seen.images)),
            "stored_sizes": {"smallest": list(seen.look.smallest), "largest": list(seen.look.largest)},
            "coloured": seen.look.coloured,
            "copies": asdict(find_copies(seen.images)),
            "left_out": [asdict(each) for each in seen.images.left_out],
        },
        "kind": seen.guess.kind.name,
        "kind_guessed_from": seen.guess.reason or None,
        "plan": {
            "seconds": first.seconds,
            "slots": plan.slots,
            "trials": spec.trials,
            "steps": spec.train.steps,
            "total_steps": plan.total_steps,
            "confirming_steps": plan.confirming_steps,
        },
    }

"""What waits to be written into MLflow, and how it is gathered."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

# Signs that MLflow's databases take. Older servers refuse a whole batch for one that is longer.
LONGEST_NAME, LONGEST_PARAM, LONGEST_TAG = 250, 500, 5000


@dataclass
class Batch:
    """Parameters, metrics and tags of one run, to be sent together; those of the parent run when ``key`` is None."""

    key: str | None
    params: dict[str, Any] = field(default_factory=dict)
    metrics: list[tuple[str, float, int, int]] = field(default_factory=list)  # name, value, milliseconds, step
    tags: dict[str, str] = field(default_factory=dict)

    def add(self, other: "Batch") -> None:
        self.params |= other.params
        self.metrics += other.metrics
        self.tags |= other.tags


@dataclass(frozen=True)
class Job:
    """Anything else that is to be done about the run ``key``.

    Attributes:
        aside: what comes after it for the same run may be sent before it.
        last: there is nothing after it.
    """

    key: str | None
    do: Callable[[], None]
    aside: bool = False
    last: bool = False


def cut(text: str, most: int) -> str:
    """A text of at most so many signs, which ends in … if it was longer."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def gathered(jobs: Iterable[Batch | Job]) -> list[Batch | Job]:
    """Batches of one run made into one, as far as nothing else happens to that run in between."""
    joined: list[Batch | Job] = []
    newest: dict[str | None, Batch] = {}
    for job in jobs:
        if isinstance(job, Job):
            if not job.aside:
                newest.pop(job.key, None)
        elif job.key in newest:
            newest[job.key].add(job)
            continue
        else:
            newest[job.key] = job
        joined.append(job)
    return joined

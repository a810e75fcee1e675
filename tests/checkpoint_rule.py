"""What an event log says of checkpoints: there are enough of them that little is ever lost, and no more than that."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from eig_tune.hpo.engine import CHECKPOINT_SECONDS


@dataclass
class Kept:
    """The newest checkpoint of a trial: its step, and when it was whole; without one, when the trial was proposed."""

    at: float
    step: int = 0


def assert_checkpoints_are_where_they_belong(events: Iterable[dict[str, Any]], rungs: Collection[int]) -> None:
    """At rungs, where a trial pauses or ends, and else after 30 s: none of these is missing, and there is no other.

    Args:
        events: of an event log, from its beginning.
        rungs: steps at which trials are compared.
    """
    kept, last = dict[int, Kept](), dict[int, dict[str, Any]]()
    reports = dict[tuple[int, int], dict[str, Any]]()
    for event in events:
        if "trial" not in event:
            continue
        number = event["trial"]
        if event["event"] == "trial":
            kept[number] = Kept(event["at"])
        elif event["event"] == "report":
            before, newest = last.get(number), kept[number]
            if before is not None and before["step"] > newest.step:
                assert not _belongs(before, newest, before["at"], rungs), f"trained on without a checkpoint: {event}"
            last[number] = reports[number, event["step"]] = event
        elif event["event"] == "checkpoint":
            newest, step = kept[number], event["step"]
            if step > newest.step:  # else it has been moved, or the trial was set back
                assert _belongs(reports[number, step], newest, event["at"], rungs), f"a needless checkpoint: {event}"
            kept[number] = Kept(event["at"], step)


def _belongs(report: dict[str, Any], newest: Kept, now: float, rungs: Collection[int]) -> bool:
    goes_on = report["verdict"] == "running" and report["step"] not in rungs
    return not goes_on or now - newest.at >= CHECKPOINT_SECONDS

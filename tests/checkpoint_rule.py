"""What an event log says of checkpoints: there are enough of them that little is ever lost, and no more than that."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eig_tune.hpo.engine import CHECKPOINT_SECONDS
from eig_tune.hpo.trial import Trial

MOST_KEPT = 4  # of a search's finished trials, where the space says nothing else


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


def assert_only_the_best_keep_checkpoints(storage: Path, trials: Iterable[Trial], further: Iterable[Trial]) -> None:
    """Of a complete search: those of some finished trials are left, and of all finished runs that confirm these.

    Args:
        storage: where the search's checkpoints lie, and nobody else's.
        trials: of the search.
        further: runs on second and fresh seeds.
    """
    finished = [trial for trial in trials if trial.status == "finished"]
    left = {_name(file.parent) for file in storage.rglob("*.safetensors")}
    kept = [trial for trial in finished if _name(trial.checkpoint) in left]
    assert len(kept) <= MOST_KEPT and (kept or not finished), f"{len(kept)} of {len(finished)} trials"
    numbers = {trial.number for trial in kept}
    runs = [run for run in further if run.status == "finished" and run.params["trial"] in numbers]
    needed = {_name(run.checkpoint): run.name for run in [*kept, *runs]}
    assert left == needed.keys(), f"missing: {needed.keys() - left}, left too many: {left - needed.keys()}"


def _name(checkpoint: Path | str | None) -> str:
    """What a checkpoint is called wherever the storage is moved to."""
    return "/".join(Path(str(checkpoint)).parts[-3:])

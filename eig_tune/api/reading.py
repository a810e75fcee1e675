"""A search read back: its space, its learning curves, and trials made of both."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

from eig_tune.config.document import read_document
from eig_tune.config.space import SearchSpec, parse_spec
from eig_tune.errors import ConfigError, ResultError
from eig_tune.home import Home
from eig_tune.hpo.event_log import read_state
from eig_tune.hpo.objectives import front_of
from eig_tune.hpo.trial import Decision, Report, Status, Trial
from eig_tune.reports import curves
from eig_tune.reports.provenance import SPEC_FILE
from eig_tune.reports.range_ends import range_ends_in_words
from eig_tune.tracking import TrackedSearch, download
from eig_tune.training.config import with_named_networks
from eig_tune.workflows.identity import noted_header

_STATUS: dict[str, Status] = {status: status for status in get_args(Status)}


def read_spec(found: TrackedSearch) -> SearchSpec:
    """The resolved space that the search has left in MLflow.

    Raises:
        ResultError: it is not there.
        ConfigError: this version cannot read it.
    """
    with TemporaryDirectory() as folder:
        download(found.store, found.run.run_id, {SPEC_FILE}, Path(folder))
        file = Path(folder, SPEC_FILE)
        if not file.is_file():
            raise ResultError(f"{found.name}: MLflow does not have its {SPEC_FILE} yet")
        return parse_spec(with_named_networks(read_document(file)), f"{found.name}: {SPEC_FILE}", searching=False)


def range_ends_of(found: TrackedSearch) -> list[str]:
    """Which params of its front lie at an end of their range; nothing where MLflow does not have the space."""
    try:
        space = read_spec(found).search
    except (ResultError, ConfigError):
        return []
    front = front_of(found.finished(), lambda trial: trial.own, found.objectives, found.constraints)
    return range_ends_in_words(space, [(trial.number, trial.params) for trial in front])


def read_curves(found: TrackedSearch, home: Home) -> list[dict[str, Any]]:
    """The rows of its curves: from the event log if this home has it, else what the search left in MLflow at its end,
    which is nothing while it runs."""
    if noted_header(home, found.name).get("id") == found.search_id:
        return list(curves.curve_rows(read_state(home.event_log(found.name)).trials.values()))
    with TemporaryDirectory() as folder:
        download(found.store, found.run.run_id, {curves.CURVES_FILE}, Path(folder))
        file = Path(folder, curves.CURVES_FILE)
        rows: list[dict[str, Any]] = curves.read_curves(file).to_pylist() if file.is_file() else []
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def trials_of(found: TrackedSearch, rows: Iterable[Mapping[str, Any]]) -> list[Trial]:
    """The search's trials, each with its reports, as far as the ``rows`` of its curves have them."""
    of_trial = defaultdict[int, list[Mapping[str, Any]]](list)
    for row in rows:
        of_trial[row["trial"]].append(row)
    return [
        Trial(
            number=tracked.number,
            params=tracked.params,
            at=0.0,
            status=_STATUS.get(tracked.status, "running"),  # it was interrupted
            reason=tracked.reason,
            reports={
                row["step"]: Report(row["step"], curves.metrics_of(row), row["at"], Decision(row["decision"]))
                for row in of_trial[tracked.number]
            },
        )
        for tracked in found.trials
    ]

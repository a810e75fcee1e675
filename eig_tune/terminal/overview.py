"""The searches of a home: a list of all, and one with its trials while it runs."""

import time
from collections.abc import Callable, Sequence

from rich.console import Console, Group, RenderableType
from rich.filesize import decimal
from rich.live import Live
from rich.table import Table
from rich.text import Text

from eig_tune.hpo.trial import Trial, params_in_words
from eig_tune.terminal.progress import PARAMS_OR_REASON, STATUS_STYLE, clock, params_or_reason
from eig_tune.workflows.overview import Overview
from eig_tune.workflows.trial_log import objective_texts

_STYLES = {"running": "cyan", "complete": "green", "stopped": "yellow", "killed": "red", "damaged": "red"}
_ROWS = 20


def print_list(searches: Sequence[Overview], console: Console) -> None:
    """One line for each search, that written to last first."""
    table = Table(box=None, pad_edge=False)
    for column in ("search", "state", "trials", "best", "last event", "size"):
        right = column in ("trials", "last event", "size")
        table.add_column(column, justify="right" if right else "left", overflow="fold", no_wrap=right)
    for search in searches:
        state = Text(search.standing, _STYLES[search.standing])
        cells = [_count(search), best_in_words(search), _ago(search), decimal(search.size())]
        table.add_row(Text(search.name), state, *cells)
    console.print(table)


def print_status(search: Overview, console: Console, everything: bool = False) -> None:
    """How far a search is, and its trials: those that run, and those that ended or paused last."""
    for part in _parts(search, everything):
        console.print(part, soft_wrap=isinstance(part, Text))


def watch(look: Callable[[], Overview], every: float, console: Console) -> None:
    """Show how far a search is until it does not run any more; on a terminal in place, else again and again."""
    search = look()
    if not console.is_terminal:
        print_status(search, console)
        while search.standing == "running":
            time.sleep(every)
            search = look()
            print_status(search, console)
        return
    with Live(Group(*_parts(search, False)), console=console, auto_refresh=False) as live:
        while search.standing == "running":
            time.sleep(every)
            search = look()
            live.update(Group(*_parts(search, False)), refresh=True)


def best_in_words(search: Overview) -> str:
    """``nmi 0.931, prior_rmse 0.020 (trial 5, confirmed)``; a dash while no trial has finished."""
    if search.best is None:
        return "–"
    reached = search.best.confirmed or search.best.found
    values = ", ".join(f"{name} {reached[name]:.3f}" for name in search.objectives if name in reached)
    return f"{values} (trial {search.best.number}{', confirmed' if search.best.confirmed else ''})"


def _parts(search: Overview, everything: bool) -> list[RenderableType]:
    if search.damage:
        return [Text(f"{search.name}: damaged: {search.damage}")]
    shown = list(search.trials) if everything else _shown(search.trials)
    hidden = len(search.trials) - len(shown)
    more = [Text(f"{hidden} more trials have ended; --all shows them")] if hidden else []
    waiting = [Text(f"waits to be tried: {params_in_words(params)}") for params in search.waiting.values()]
    best = [Text(f"best: {best_in_words(search)}")] if search.best is not None else []
    return [Text(in_words(search)), *best, _table(search, shown), *more, *waiting]


def in_words(search: Overview) -> str:
    """``digits: running in process 12 on HOST · about 2:00 left · 5 of 16 trials ended``."""
    left = search.seconds_left()
    paused = sum(trial.status == "paused" for trial in search.trials)
    parts = [
        f"{search.name}: {search.standing}" + (f" in {search.lock.owner}" if search.lock.owner else ""),
        "" if left is None else f"about {clock(left)} left",
        f"{_count(search)} trials ended",
        f"{paused} paused" if paused else "",
        search.confirming,
        f"last event {_ago(search)} ago",
        search.why,
    ]
    return " · ".join(filter(None, parts))


def _table(search: Overview, trials: Sequence[Trial]) -> Table:
    running = search.standing == "running"
    # On one machine, that of the search, the host of every trial says nothing.
    host = ["host"] if {trial.host for trial in search.trials} - {"", search.host} else []
    table = Table(box=None, pad_edge=False)
    words = ("status", "host", PARAMS_OR_REASON)
    for column in ("trial", "status", "rung", "step", *search.objectives, *host, PARAMS_OR_REASON):
        table.add_column(column, justify="left" if column in words else "right", overflow="fold")
    for trial in trials:
        status = trial.status if running else trial.outcome
        rung = trial.rung(search.rungs)
        table.add_row(
            str(trial.number),
            Text(status, STATUS_STYLE.get(status, "")),
            "–" if rung is None else f"{rung:,}",
            f"{trial.last.step if trial.last else 0:,}",
            *objective_texts(trial, search.objectives),
            *([Text(trial.host)] if host else []),
            Text(params_or_reason(trial)),
        )
    return table


def _shown(trials: Sequence[Trial]) -> list[Trial]:
    running = [trial for trial in trials if trial.status == "running"]
    at_rest = sorted((trial for trial in trials if trial.status != "running"), key=lambda trial: trial.newest_event)
    return [*at_rest[max(0, len(at_rest) - max(0, _ROWS - len(running))) :], *running]


def _count(search: Overview) -> str:
    return f"{sum(trial.ended for trial in search.trials)} of {search.planned}"


def _ago(search: Overview) -> str:
    seconds = max(0.0, time.time() - search.newest_at)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"

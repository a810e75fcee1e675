"""Progress of long work: a live table and bars on a terminal, plain lines now and then where there is none."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import Progress
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from eig_tune.hpo.candidates import run_in_words
from eig_tune.hpo.observers import Observer
from eig_tune.hpo.trial import Report, Trial, params_in_words
from eig_tune.terminal.logs import warnings_only
from eig_tune.workflows.trial_log import objective_texts
from eig_tune.workflows.view import OnProgress

_PLAIN_EVERY_SECONDS = 30.0
_DRAW_EVERY_SECONDS = 0.25  # a table of thousands of trials takes milliseconds to make
_ROWS = 12
_BAR_WIDTH = 16
PARAMS_OR_REASON = "params or reason"
STATUS_STYLE = {
    "running": "cyan",
    "paused": "blue",
    "finished": "green",
    "stopped": "yellow",
    "collapsed": "magenta",
    "failed": "red",
}


class LiveTrials(Observer):
    """What becomes of trials: one live table on a terminal, else a summary now and then.

    Args:
        trials: all trials by number, kept up to date by the engine's event log.
        num_trials: how many trials there will be.
        steps: how many optimisation steps they will make in all, about.
        objectives: metric to direction, shown as columns.
        console: where to draw.
    """

    def __init__(
        self,
        trials: Mapping[int, Trial],
        num_trials: int,
        steps: int,
        objectives: Mapping[str, str],
        console: Console,
    ) -> None:
        self._trials = trials
        self._num_trials = num_trials
        self._steps = steps
        self._objectives = objectives
        self._console = console
        self._started = time.monotonic()
        self._trained_before = self._trained()
        self._last_plain = self._started
        self._last_drawn = 0.0
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None

    @contextmanager
    def shown(self) -> Iterator["LiveTrials"]:
        """Show the table until the end of the block; meanwhile only warnings are printed, above it."""
        if self._live is None:
            yield self
            return
        with warnings_only(), self._live:
            yield self

    def trial_started(self, trial: Trial) -> None:
        self._redraw()

    def trial_resumed(self, trial: Trial) -> None:
        self._redraw()

    def trial_reported(self, trial: Trial, report: Report) -> None:
        self._redraw()

    def trial_ended(self, trial: Trial) -> None:
        self._redraw()

    def heartbeat(self) -> None:
        self._redraw()
        now = time.monotonic()
        if self._live is None and now - self._last_plain > _PLAIN_EVERY_SECONDS:
            self._last_plain = now
            self._console.print(self._summary(), soft_wrap=True)

    def _redraw(self) -> None:
        now = time.monotonic()
        if self._live is not None and now - self._last_drawn > _DRAW_EVERY_SECONDS:
            self._last_drawn = now
            self._live.update(Group(self._head(), self._table()))  # a low screen cuts off what comes last

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for column in ("trial", "status", "step", *self._objectives, PARAMS_OR_REASON):
            left = column in ("status", PARAMS_OR_REASON)
            table.add_column(column, justify="left" if left else "right", overflow="fold")
        for trial in self._shown():
            style = STATUS_STYLE[trial.status]
            step = f"{trial.last.step if trial.last else 0:,}"
            status = Text(trial.status, style)
            number, words = str(trial.params.get("trial", trial.number)), Text(params_or_reason(trial))
            table.add_row(number, status, step, *objective_texts(trial, self._objectives), words)
        return table

    def _shown(self) -> Sequence[Trial]:
        """Running trials and those that ended or paused last."""
        running = [trial for trial in self._trials.values() if trial.status == "running"]
        at_rest = [trial for trial in self._trials.values() if trial.status != "running"]
        at_rest.sort(key=lambda trial: trial.newest_event)
        hidden = max(0, len(at_rest) - max(0, _ROWS - len(running)))
        return [*at_rest[hidden:], *running]

    def _head(self) -> RenderableType:
        """Bar and summary side by side, which is folded where the screen is narrow."""
        head = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=max(self._num_trials, len(self._trials)), completed=self._ended(), width=_BAR_WIDTH)
        head.add_row(bar, Text(self._summary()))
        return head

    def _summary(self) -> str:
        well = [
            trial
            for trial in self._trials.values()
            if not {trial.status, trial.decision.status} & {"failed", "collapsed"}
        ]
        best = [
            f"best {name} {(max if direction == 'maximize' else min)(seen):.3f}"
            for name, direction in self._objectives.items()
            if (seen := [t.last.metrics[name] for t in well if t.last and name in t.last.metrics])
        ]
        count = sum(trial.status == "paused" for trial in self._trials.values())
        paused = [f"{count} paused"] if count else []
        ended = f"{self._ended()} of {max(self._num_trials, len(self._trials))} trials ended"
        return " · ".join([self._time_left(), ended, *paused, *best])

    def _time_left(self) -> str:
        elapsed = time.monotonic() - self._started
        trained = self._trained()
        if not self._trained_before < trained < self._steps:
            return f"{clock(elapsed)} so far"
        left = elapsed / (trained - self._trained_before) * (self._steps - trained)
        return f"about {clock(left)} left after {clock(elapsed)}"

    def _trained(self) -> int:
        """Steps of all trials so far."""
        return sum(trial.last.step for trial in self._trials.values() if trial.last)

    def _ended(self) -> int:
        return sum(trial.ended for trial in self._trials.values())


def params_or_reason(trial: Trial) -> str:
    """Why it was stopped, failed or waits; of one that trains or has finished its params, or which seed it is."""
    if trial.why and trial.status != "finished":
        return trial.why
    return run_in_words(trial.params) if "trial" in trial.params else params_in_words(trial.params)


@contextmanager
def step_bar(console: Console, title: str) -> Iterator[OnProgress]:
    """A bar for long work, or a line now and then where there is no terminal.

    Yields the function that reports progress; nothing is shown until it is called.
    """
    if not console.is_terminal:
        yield _step_lines(console, title)
        return
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(title, total=None, visible=False)
        yield lambda done, of: progress.update(task, completed=done, total=of, visible=True)


def _step_lines(console: Console, title: str) -> OnProgress:
    last = time.monotonic()

    def show(done: int, of: int) -> None:
        nonlocal last
        if time.monotonic() - last > _PLAIN_EVERY_SECONDS:
            last = time.monotonic()
            console.print(f"{title}: {done:,} of {of:,}", soft_wrap=True)

    return show


def clock(seconds: float) -> str:
    """``1:05`` or ``2:00:31``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

"""What a person sees while a search runs: one live table, or plain lines where there is no terminal."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.filesize import decimal as in_words
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from eig_tune.hpo.observers import Observer
from eig_tune.hpo.trial import HALVED_BATCH, Report, Trial

__all__ = ["Console", "Terminal", "in_words", "step_bar"]

_PLAIN_EVERY_SECONDS = 30.0
_DRAW_EVERY_SECONDS = 0.25  # a table of thousands of trials takes milliseconds to make
_ROWS = 12
_STATUS_STYLE = {
    "running": "cyan",
    "paused": "blue",
    "finished": "green",
    "stopped": "yellow",
    "collapsed": "magenta",
    "failed": "red",
}


class Terminal(Observer):
    """The live display of a search; an observer of the engine.

    Args:
        trials: all trials of the search by number, kept up to date by the engine's event log.
        wanted: how many trials there will be.
        steps: how many optimisation steps they will make in all, about.
        objectives: metric to direction, shown as columns.
        console: where to draw; messages go to stderr so that stdout stays for results.
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
        self._said = set[str]()
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None

    def __enter__(self) -> "Terminal":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def trial_started(self, trial: Trial) -> None:
        self._redraw()

    def trial_resumed(self, trial: Trial) -> None:
        self._redraw()

    def trial_reported(self, trial: Trial, report: Report) -> None:
        if HALVED_BATCH in report.metrics:
            batch = report.metrics[HALVED_BATCH]
            self.say_once(f"trial {trial.number}: not enough GPU memory, it goes on with a batch of {batch:.0f}")
        self._redraw()

    def say_once(self, line: str) -> None:
        """Print a line above the table, unless it has been printed before."""
        if line not in self._said:
            self._said.add(line)
            self._console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)

    def trial_ended(self, trial: Trial) -> None:
        if self._live is None or trial.status == "failed":
            self._console.print(self._line(trial), markup=False, highlight=False, soft_wrap=True)
        self._redraw()

    def heartbeat(self) -> None:
        """Called several times a second; says something now and then where there is no terminal."""
        self._redraw()
        now = time.monotonic()
        if self._live is None and now - self._last_plain > _PLAIN_EVERY_SECONDS:
            self._last_plain = now
            self._console.print(self._summary(), highlight=False, soft_wrap=True)

    def _redraw(self) -> None:
        now = time.monotonic()
        if self._live is not None and now - self._last_drawn > _DRAW_EVERY_SECONDS:
            self._last_drawn = now
            self._live.update(Group(self._table(), self._bar()))

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for column in ("trial", "status", "step", *self._objectives, "what happened"):
            left = column in ("status", "what happened")
            table.add_column(column, justify="left" if left else "right", overflow="fold")
        for trial in self._shown():
            style = _STATUS_STYLE[trial.status]
            step = f"{trial.last.step if trial.last else 0:,}"
            status = Text(trial.status, style)
            table.add_row(str(trial.number), status, step, *self._values(trial), Text(trial.why))
        return table

    def _shown(self) -> Sequence[Trial]:
        """Running trials and those that ended or paused last."""
        running = [trial for trial in self._trials.values() if trial.status == "running"]
        at_rest = [trial for trial in self._trials.values() if trial.status != "running"]
        at_rest.sort(key=lambda trial: trial.newest_event)
        hidden = max(0, len(at_rest) - max(0, _ROWS - len(running)))
        return [*at_rest[hidden:], *running]

    def _bar(self) -> RenderableType:
        bar = Progress(TextColumn("{task.completed}/{task.total} trials"), BarColumn(), TextColumn(self._summary()))
        bar.add_task("", total=self._num_trials, completed=self._ended())
        return bar

    def _summary(self) -> str:
        well = [
            trial for trial in self._trials.values() if not {trial.status, trial.decision} & {"failed", "collapsed"}
        ]
        best = [
            f"best {name} {(max if direction == 'maximize' else min)(seen):.3f}"
            for name, direction in self._objectives.items()
            if (seen := [t.last.metrics[name] for t in well if t.last and name in t.last.metrics])
        ]
        count = sum(trial.status == "paused" for trial in self._trials.values())
        paused = [f"{count} paused"] if count else []
        return " · ".join([f"{self._ended()}/{self._num_trials} trials ended", *paused, *best, self._time_left()])

    def _time_left(self) -> str:
        elapsed = time.monotonic() - self._started
        trained = self._trained()
        if not self._trained_before < trained < self._steps:
            return f"{_clock(elapsed)} gone"
        left = elapsed / (trained - self._trained_before) * (self._steps - trained)
        return f"{_clock(elapsed)} gone, about {_clock(left)} left"

    def _trained(self) -> int:
        """Steps of all trials so far."""
        return sum(trial.last.step for trial in self._trials.values() if trial.last)

    def _ended(self) -> int:
        return sum(trial.ended for trial in self._trials.values())

    def _line(self, trial: Trial) -> str:
        values = " ".join(f"{n}={v}" for n, v in zip(self._objectives, self._values(trial), strict=True))
        step = trial.last.step if trial.last else 0
        name = trial.name if trial.status == "failed" else f"trial {trial.number}"
        return f"{name} {trial.status} at step {step:,}: {values} ({trial.reason})"

    def _values(self, trial: Trial) -> list[str]:
        metrics = trial.last.metrics if trial.last else {}
        return [f"{metrics[name]:.3f}" if name in metrics else "–" for name in self._objectives]


@contextmanager
def step_bar(console: Console, title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for long work, or a line now and then where there is no terminal.

    Yields a function that is told (steps done, steps in all); nothing is shown until it is called.
    """
    if not console.is_terminal:
        yield _step_lines(console, title)
        return
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(title, total=None, visible=False)
        yield lambda done, of: progress.update(task, completed=done, total=of, visible=True)


def _step_lines(console: Console, title: str) -> Callable[[int, int], None]:
    last = time.monotonic()

    def tell(done: int, of: int) -> None:
        nonlocal last
        if time.monotonic() - last > _PLAIN_EVERY_SECONDS:
            last = time.monotonic()
            console.print(f"{title}: {done:,} of {of:,}", highlight=False, soft_wrap=True)

    return tell


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

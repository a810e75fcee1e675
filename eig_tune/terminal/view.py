"""What a person at a terminal sees while long work goes on."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console

from eig_tune.hpo.observers import Observer
from eig_tune.hpo.trial import Trial
from eig_tune.terminal.progress import LiveTrials, step_bar
from eig_tune.workflows.view import OnProgress, View


class TerminalView(View):
    """Bars and a live table on a console; plain lines now and then where it is no terminal.

    Args:
        console: that of :class:`eig_tune.terminal.logs.TerminalHandler`, so that messages appear above the table.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def progress_bar(self, title: str) -> Iterator[OnProgress]:
        with step_bar(self._console, title) as on_progress:
            yield on_progress

    @contextmanager
    def trials(
        self, trials: Mapping[int, Trial], num_trials: int, steps: int, objectives: Mapping[str, str]
    ) -> Iterator[Observer]:
        with LiveTrials(trials, num_trials, steps, objectives, self._console).shown() as observer:
            yield observer

"""What a person sees while long work goes on: the base class, which shows nothing."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from eig_tune.hpo.observers import Observer
from eig_tune.hpo.trial import Trial

OnProgress = Callable[[int, int], None]  # (steps done, steps in all)


class View:
    """Progress of long work; messages are logged and do not come here.

    Workflows are handed one, so that they need not know whether there is a terminal, a notebook or nobody.
    """

    @contextmanager
    def progress_bar(self, title: str) -> Iterator[OnProgress]:
        """Show how far a piece of work is, until the end of the block; yields the function that reports it."""
        yield lambda done, of: None

    @contextmanager
    def trials(
        self, trials: Mapping[int, Trial], num_trials: int, steps: int, objectives: Mapping[str, str]
    ) -> Iterator[Observer]:
        """Show what becomes of trials, until the end of the block; yields the observer that the engine notifies.

        Args:
            trials: all trials by number, kept up to date by the engine's event log.
            num_trials: how many trials there will be.
            steps: how many optimisation steps they will make in all, about.
            objectives: metric to direction.
        """
        yield Observer()

"""What may watch the trials of a search: MLflow's runs, the Optuna study, the live table, a notebook's own code."""

from eig_tune.hpo.trial import Report, Trial


class Observer:
    """Hooks that the engine calls as a search goes on. Each does nothing unless a subclass overrides it.

    Hooks are called one after the other, in the thread that drives the engine, when the event is in the event log: the
    trial handed in is as it is after the event. Of what an earlier process has logged nothing is repeated; an observer
    that keeps a view of its own has to catch up with it. An ``OSError`` or ``StorageError`` of a hook halts the search,
    which can be resumed; any other exception ends it.
    """

    def trial_started(self, trial: Trial) -> None:
        """A new trial is about to run."""

    def trial_resumed(self, trial: Trial) -> None:
        """A trial runs again: it was promoted, or a resume of the search or the loss of a worker has cut it short."""

    def trial_reported(self, trial: Trial, report: Report) -> None:
        """A trial has reported; the report has the decision on it."""

    def trial_checkpointed(self, trial: Trial) -> None:
        """The trial's newest checkpoint is whole."""

    def trial_ended(self, trial: Trial) -> None:
        """A trial will report no more; its status and reason say why."""

    def heartbeat(self) -> None:
        """Time goes by: called several times a second while trials run."""

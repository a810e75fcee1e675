"""Images with an evaluation classifier that is trained while trials run, in a thread of its own."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from eig_tune.stopping import Interrupted, StoppedError, leave_sigterm_alone
from eig_tune.training.loop import TrialData

Made = Mapping[str, TrialData]


class _NotNeededError(BaseException):
    """The search has ended meanwhile."""


class MadeLater:
    """Data sets, by name, that a thread makes.

    Args:
        make: makes them. It is given what to call after every step, which raises when the thread is to end.
        check: raises when the end of the work is asked for.
    """

    def __init__(self, make: Callable[[Callable[[], None]], Made], check: Callable[[], None]) -> None:
        self._make = make
        self._check = check
        self._executor = ThreadPoolExecutor(max_workers=1, initializer=leave_sigterm_alone)
        self._making: Future[Made] | None = None
        self._over = False

    def begin(self) -> None:
        """Begin to make them; no effect if that has begun."""
        if self._making is None:
            self._making = self._executor.submit(self._make, self._go_on)

    def ready(self) -> bool:
        """Whether they are made; begins to make them.

        Raises:
            Exception: they cannot be made.
        """
        self.begin()
        if self._making is None or not self._making.done():
            return False
        error = self._making.exception()
        if error is None or isinstance(error, (Interrupted, StoppedError)):
            return error is None
        raise error

    def result(self) -> Made:
        """What was made, when it is ready."""
        assert self._making is not None, "ready() comes first"
        return self._making.result()

    def _go_on(self) -> None:
        self._check()
        if self._over:
            raise _NotNeededError

    def __enter__(self) -> "MadeLater":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The thread ends, whether all is made or not."""
        self._over = True
        self._executor.shutdown()

"""MLflow's client in a process of its own, so that writing takes no time of the process that drives a search.

A request takes MLflow 2 to 10 ms of Python, in which no other thread of its process runs. Here it is done elsewhere:
the other process (:func:`main`) reads requests from its stdin and answers on its stdout. It does not outlive its
caller: when its stdin is closed, by the caller or by the caller's death, it ends at once, in the middle of a request
too, and what was being written is written by a resume. Signals are for the caller alone.
"""

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from functools import partial
from typing import Any, BinaryIO

from eig_tune.errors import TrackingError
from eig_tune.tracking.client import first_line, open_client

_SECONDS_TO_END = 5.0
_NICENESS = 15  # that of Ray's workers


class ClientProcess:
    """Stands in for an ``MlflowClient``, each method of which is called in the other process; for one thread.

    The process is started by the first call, when the first trials train, and again when it was lost. It takes no
    processor from trials, as they from nobody.

    Args:
        uri: the store's address, also one with a password.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._process: subprocess.Popen[bytes] | None = None

    def __getattr__(self, method: str) -> Any:
        """A method of the client.

        Raises:
            ConnectionError: by the method: the process was lost meanwhile.
        """
        if method.startswith("_"):
            raise AttributeError(method)
        return partial(self._call, method)

    def end(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        with process:
            try:
                process.communicate(timeout=_SECONDS_TO_END)
            except (OSError, ValueError, subprocess.TimeoutExpired):
                process.kill()

    def _call(self, method: str, *arguments: Any, **named: Any) -> Any:
        self._process = self._process or self._started()
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None and answers is not None
        request = pickle.dumps((method, arguments, named))
        try:
            _send(requests, request)
            is_done, answer = pickle.load(answers)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            self.end()
            raise ConnectionError("the process of MLflow's client was lost") from error
        if not is_done:
            raise answer
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        # The same modules are found there, also from a notebook that has changed the path.
        program = (
            f"import os, sys; os.nice({_NICENESS}); sys.path[:] = {sys.path!r}; from {__name__} import main; main()"
        )
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdin is not None
        _send(process.stdin, pickle.dumps(self._uri))
        return process


def main() -> None:
    """The other process: answer requests until stdin is closed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    received, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    requests = queue.SimpleQueue[Any]()
    threading.Thread(target=_read, args=(received, requests), daemon=True).start()
    uri, client = requests.get(), None
    while True:
        method, arguments, named = requests.get()
        try:
            client = client or open_client(uri)
            answer = pickle.dumps((True, getattr(client, method)(*arguments, **named)))
        except Exception as error:
            answer = pickle.dumps((False, _sendable(error, uri)))
        _send(answers, answer)


def _read(received: BinaryIO, requests: "queue.SimpleQueue[Any]") -> None:
    while True:
        try:
            requests.put(pickle.load(received))
        except EOFError:
            os._exit(0)


def _send(file: Any, pickled: bytes) -> None:
    file.write(pickled)
    file.flush()


def _sendable(error: Exception, uri: str) -> Exception:
    """The error itself if it comes out of a pickle as it went in."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return TrackingError(first_line(error, uri))
    return error

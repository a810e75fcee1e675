"""Where checkpoints lie: a folder that every node sees, or a bucket of an S3-compatible store.

A checkpoint is known by its *location*, an absolute path or a whole ``s3://`` address, so that a search may go on with
another storage than it began with. Keys come from the environment of each node: a :class:`Storage` that is sent to
trials, or pickled by Ray into its files, has none in it.
"""

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pyarrow.fs

from eig_tune.cluster import node_probe
from eig_tune.errors import CheckpointError, StorageError, one_line
from eig_tune.home import bring_to_disk, try_to_write
from eig_tune.training.checkpoint import RUN_FILE

T = TypeVar("T")

S3_SCHEME = "s3://"
IS_NOT_THERE = "this checkpoint is not there"
_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 14.0)  # seconds between two tries to read
_REMEDY = (
    "the bucket has to exist, and the environment to have AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for a store "
    "that is not Amazon's, AWS_ENDPOINT_URL"
)


@dataclass(frozen=True)
class Storage:
    """A place for checkpoints, and access to those that lie elsewhere.

    Attributes:
        uri: an absolute path, or ``s3://bucket/prefix``.
        endpoint: the S3 server's address; Amazon's own when None.
        region: the bucket's; what the environment says when None.
    """

    uri: str
    endpoint: str | None = None
    region: str | None = None

    def below(self, *names: str) -> "Storage":
        """A place inside this one."""
        return replace(self, uri="/".join([self.uri.rstrip("/"), *names]))

    @property
    def is_local(self) -> bool:
        """Whether it is a folder."""
        return not self.uri.startswith(S3_SCHEME)

    @property
    def filesystem(self) -> Any:
        """The place's ``pyarrow.fs.FileSystem``."""
        return self._open(self.uri)[0]

    @property
    def path(self) -> str:
        """The place on its file system."""
        return self._open(self.uri)[1]

    def location(self, path: str) -> str:
        """The location of a path on this place's file system."""
        return path if self.is_local else f"{S3_SCHEME}{path}"

    def read(self, location: str, file: str) -> bytes:
        """A file of a checkpoint.

        Raises:
            OSError: it is not there, or the store does not answer.
        """
        filesystem, path = self._open(location)
        with filesystem.open_input_stream(f"{path}/{file}") as opened:
            return bytes(opened.read())

    @contextmanager
    def local(self, location: str) -> Iterator[Path]:
        """The folder of a checkpoint; a copy of it, until the end of the block, if it lies in a bucket.

        Raises:
            CheckpointError: it is not there.
            StorageError: it could not be read for half a minute.
        """
        filesystem, path = self._open(location)
        with ExitStack() as until_it_is_read:
            folder = Path(location)
            if location.startswith(S3_SCHEME):
                folder = Path(until_it_is_read.enter_context(TemporaryDirectory(prefix="eig-tune-")))
                copy = partial(pyarrow.fs.copy_files, path, str(folder), source_filesystem=filesystem)
                _retried(copy, location)
            else:
                _retried(folder.iterdir().__next__, location)
            yield folder

    def present(self, locations: Sequence[str]) -> set[str]:
        """Those of the locations at which there is a checkpoint; empty ones are skipped.

        Raises:
            StorageError: the storage has not answered for half a minute.
        """
        found = set[str]()
        for location in filter(None, locations):
            filesystem, path = self._open(location)
            run = partial(filesystem.get_file_info, f"{path}/{RUN_FILE}")
            if _retried(run, location).type == pyarrow.fs.FileType.File:
                found.add(location)
        return found

    def delete(self, location: str) -> None:
        """Delete a checkpoint; no effect if it is not there.

        Raises:
            OSError: the storage refuses.
        """
        filesystem, path = self._open(location)
        try:
            filesystem.delete_dir(path)
        except FileNotFoundError:
            return

    def sync(self, location: str) -> None:
        """Make the disk keep a checkpoint that has just been written; no effect in a bucket, which does so at once.

        Raises:
            OSError: it is not there, or the disk has failed.
        """
        if not location.startswith(S3_SCHEME):
            bring_to_disk(Path(location))

    def clear(self, keep: Collection[str] = ()) -> None:
        """Delete everything in this place but the locations to keep; the place itself too if it has none of them.

        Raises:
            OSError: the storage refuses.
        """
        kept = {self._open(location)[1] for location in keep}
        inside = {path for path in kept if path.startswith(f"{self.path}/")}
        if inside:
            self._clear(self.path, inside)
        else:
            self.delete(self.uri)

    def _clear(self, path: str, keep: Collection[str]) -> None:
        for entry in self.filesystem.get_file_info(pyarrow.fs.FileSelector(path)):
            if entry.path in keep:
                continue
            if any(kept.startswith(f"{entry.path}/") for kept in keep):
                self._clear(entry.path, keep)
            elif entry.type == pyarrow.fs.FileType.Directory:
                self.filesystem.delete_dir(entry.path)
            else:
                self.filesystem.delete_file(entry.path)

    def size(self) -> int:
        """Bytes of all files in this place.

        Raises:
            OSError: the storage does not answer.
        """
        everything = pyarrow.fs.FileSelector(self.path, recursive=True, allow_not_found=True)
        return sum(entry.size or 0 for entry in self.filesystem.get_file_info(everything))

    def check(self) -> None:
        """Write a file here and delete it again.

        Raises:
            StorageError: that is not possible.
        """
        remedy = "give another folder"
        try:
            if self.is_local:
                try_to_write(Path(self.uri))
            else:
                remedy, probe = _REMEDY, f".probe-{os.getpid()}"
                node_probe.write(self.filesystem, self.path, probe)
                self.filesystem.delete_file(f"{self.path}/{probe}")
        except OSError as error:
            raise StorageError(f"--storage: {self.uri} cannot be written ({reason_of(error)}); {remedy}") from error

    def _open(self, location: str) -> tuple[Any, str]:
        if location.startswith(S3_SCHEME):
            return _s3(self.endpoint, self.region), location.removeprefix(S3_SCHEME)
        return pyarrow.fs.LocalFileSystem(), location


def _retried(read: Callable[[], T], location: str) -> T:
    """What ``read`` returns; it is called again for half a minute while the storage cannot be read.

    Raises:
        CheckpointError: there is nothing at ``location``.
        StorageError: it cannot be read.
    """
    for wait in (*_WAITS, None):
        try:
            return read()
        except (FileNotFoundError, NotADirectoryError, StopIteration) as error:
            raise CheckpointError(f"{location}: {IS_NOT_THERE}") from error
        except OSError as error:
            if wait is None:
                raise StorageError(f"{location}: this checkpoint cannot be read ({reason_of(error)})") from error
            time.sleep(wait)
    raise AssertionError("the last try returns or raises")


@cache
def _s3(endpoint: str | None, region: str | None) -> Any:
    """An S3 file system without keys, so that none are pickled with it: each process reads its environment."""
    return pyarrow.fs.S3FileSystem(endpoint_override=endpoint, region=region)


def reason_of(error: OSError) -> str:
    """The reason in an error of a file system, on one line."""
    return os.strerror(error.errno) if error.errno else one_line(error)

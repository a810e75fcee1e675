"""Where checkpoints lie: a folder that every node sees, or a bucket of an S3-compatible store.

A checkpoint is known by its *location*, an absolute path or an ``s3://`` address that says it all, so that a search
may go on with another storage than it began with. Keys come from the environment of each node and never from here: a
:class:`Storage` that travels to the trials, or is pickled by Ray into its files, has none in it.
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
from eig_tune.errors import CheckpointError, EigTuneError, StorageError, one_line
from eig_tune.home import bring_to_disk, try_to_write
from eig_tune.paths import absolute
from eig_tune.training.checkpoint import RUN_FILE

T = TypeVar("T")

_S3 = "s3://"
IS_NOT_THERE = "this checkpoint is not there"
_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 14.0)  # seconds between two tries to read
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_REMEDY = (
    "the bucket has to exist, and the environment to have AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for a store "
    "that is not Amazon's, AWS_ENDPOINT_URL"
)


@dataclass(frozen=True)
class Storage:
    """A place for checkpoints, and the way to those that lie elsewhere.

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
        return not self.uri.startswith(_S3)

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
        return path if self.is_local else f"{_S3}{path}"

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
        """The folder of a checkpoint; if it is on another machine, a copy for as long as it is needed.

        Raises:
            CheckpointError: it is not there.
            StorageError: it cannot be read now, although that was tried for half a minute.
        """
        filesystem, path = self._open(location)
        with ExitStack() as until_it_is_read:
            folder = Path(location)
            if location.startswith(_S3):
                folder = Path(until_it_is_read.enter_context(TemporaryDirectory(prefix="eig-tune-")))
                copy = partial(pyarrow.fs.copy_files, path, str(folder), source_filesystem=filesystem)
                patiently(copy, location)
            else:
                patiently(folder.iterdir().__next__, location)
            yield folder

    def there(self, locations: Sequence[str]) -> set[str]:
        """Those of the checkpoints that lie where they are said to.

        Raises:
            StorageError: it cannot be known, although that was tried for half a minute.
        """
        found = set[str]()
        for location in filter(None, locations):
            filesystem, path = self._open(location)
            run = partial(filesystem.get_file_info, f"{path}/{RUN_FILE}")
            if patiently(run, location).type == pyarrow.fs.FileType.File:
                found.add(location)
        return found

    def delete(self, location: str) -> None:
        """Delete a checkpoint, if it is there.

        Raises:
            OSError: the store does not let us.
        """
        filesystem, path = self._open(location)
        try:
            filesystem.delete_dir(path)
        except FileNotFoundError:
            return

    def sync(self, location: str) -> None:
        """A checkpoint that has just been written is on the disk afterwards; in a bucket it is so from the first.

        Raises:
            OSError: it is not there any more, or the disk has failed.
        """
        if not location.startswith(_S3):
            bring_to_disk(Path(location))

    def clear(self, keep: Collection[str] = ()) -> None:
        """Delete everything in this place but the locations to keep; the place itself as well if there are none.

        Raises:
            OSError: the store does not let us.
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
        """Bytes of all that lies here.

        Raises:
            OSError: the store does not answer.
        """
        everything = pyarrow.fs.FileSelector(self.path, recursive=True, allow_not_found=True)
        return sum(entry.size or 0 for entry in self.filesystem.get_file_info(everything))

    def check(self) -> None:
        """Write a file here and take it away again.

        Raises:
            StorageError: that cannot be done.
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
        if location.startswith(_S3):
            return _s3(self.endpoint, self.region), location.removeprefix(_S3)
        return pyarrow.fs.LocalFileSystem(), location


def patiently(read: Callable[[], T], location: str) -> T:
    """What ``read`` returns, which is tried again while the storage cannot be read.

    Raises:
        CheckpointError: there is nothing at ``location``.
        StorageError: it cannot be read now.
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


def named_storage(named: str | None, default: Path) -> Storage:
    """The storage that a person has named, untried.

    Args:
        named: a path, or ``s3://bucket/prefix``.
        default: the folder to use when none was named.

    Raises:
        EigTuneError: it is no such address.
    """
    uri = str(default) if named is None else named
    if not uri.startswith(_S3):
        if "://" in uri:
            raise EigTuneError(f"--storage: got {uri!r}; write a path, or s3://bucket/prefix")
        return Storage(str(absolute(Path(uri), "--storage")))
    if "@" in uri or "?" in uri:
        raise EigTuneError("--storage: write s3://bucket/prefix; keys and endpoint are taken from the environment")
    bucket, _, prefix = uri.removeprefix(_S3).strip("/").partition("/")
    if not bucket:
        raise EigTuneError(f"--storage: got {uri!r}; the bucket is missing: s3://bucket/prefix")
    endpoint = next((value for name in _ENDPOINTS if (value := os.environ.get(name))), None)
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if endpoint is None and region is None:
        region = _region_of(bucket)
    return Storage("/".join(filter(None, [f"{_S3}{bucket}", prefix])), endpoint, region)


@cache
def _s3(endpoint: str | None, region: str | None) -> Any:
    """No keys are given to it, so that none are pickled with it: each process finds its own."""
    return pyarrow.fs.S3FileSystem(endpoint_override=endpoint, region=region)


@cache
def _region_of(bucket: str) -> str | None:
    try:
        return str(pyarrow.fs.resolve_s3_region(bucket))
    except OSError:
        return None  # the try to write tells what is wrong


def reason_of(error: OSError) -> str:
    """What an error of a file system says, short."""
    return os.strerror(error.errno) if error.errno else one_line(error)

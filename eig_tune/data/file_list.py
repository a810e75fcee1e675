"""A list of image files and their labels: CSV with a header line, or one JSON object a line.

The columns or keys are ``path`` (or ``file_name``, as Hugging Face's ``metadata.csv`` has it) and perhaps ``label``;
paths are relative to the list's own folder. Others are ignored.
"""

import csv
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from eig_tune.data.folder import LabelledImages, as_images
from eig_tune.data.left_out import BROKEN_LINK, CANNOT_BE_OPENED, NOT_REGULAR, LeftOut, counted, named, printable
from eig_tune.data.listing import ImageFile
from eig_tune.data.pixels import formats
from eig_tune.data.reading import OnProgress, read_files, silent
from eig_tune.errors import DataError, one_line

_PATH_KEYS, _LABEL_KEY = ("path", "file_name"), "label"
_LONGEST_LINE = 2**20
_MISSING = "missing"
_FORM = 'a CSV file with the header `path,label`, or JSON lines such as {"path": "a.png", "label": "cat"}'


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line of the list; the label is None where it has none."""

    line: int
    path: str
    label: str | None


def read_file_list(
    path: Path, image_size: int, channels: int, cache: Path | None = None, on_progress: OnProgress = silent
) -> LabelledImages:
    """Read every image that the list names, in its order; the classes are the different labels, in order.

    Args:
        cache: folder where what was read is kept; what is known there is not read again.
        on_progress: called with (files read, files to read).

    Raises:
        DataError: it is no such list, has labels for some images only or one class, names no readable image, or none
            of a class.
    """
    entries = _entries(path)
    names = _classes(path, entries)
    files, labels, missing = list[ImageFile](), list[int](), list[LeftOut]()
    numbers = {name: number for number, name in enumerate(names)}
    for entry in entries:
        found = _looked_up(path.parent, entry.path)
        if isinstance(found, LeftOut):
            missing.append(found)
        else:
            files.append(found)
            labels.append(numbers.get(entry.label or "", 0))
    pictures = read_files(path, files, image_size, channels, cache, on_progress)
    images, unread = as_images(files, pictures, labels if names else None)
    left_out = (*missing, *unread)
    why = f" (left out: {counted(left_out)})" if left_out else ""
    if not len(images):
        raise DataError(f"dataset.root: no readable image in {path}{why}; {', '.join(formats())} are read")
    empty = set() if images.labels is None else set(range(len(names))) - set(images.labels.tolist())
    if empty:
        few = named([names[number] for number in sorted(empty)])
        raise DataError(f"dataset.root: no readable image of class {few} in {path}{why}; take these lines away")
    return LabelledImages(images, tuple(map(printable, names)), left_out)


def listed_files(path: Path) -> list[Path]:
    """The files that the list names, whether they are there or not.

    Raises:
        DataError: it is no such list.
    """
    return [path.parent / entry.path for entry in _entries(path)]


def _entries(path: Path) -> list[_Entry]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as opened:
            rows = _csv_rows(opened) if path.suffix.lower() in (".csv", ".tsv") else _json_rows(opened)
            entries = [_entry(path, line, row) for line, row in rows]
    except (FileNotFoundError, IsADirectoryError) as error:
        raise DataError(f"dataset.root: there is no file {path}; give {_FORM}") from error
    except OSError as error:
        raise DataError(f"dataset.root: {path} cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error, RecursionError) as error:
        raise DataError(f"dataset.root: {path} is no list of images ({one_line(error)}); give {_FORM}") from error
    if not entries:
        raise DataError(f"dataset.root: {path} names no image; give {_FORM}")
    return entries


def _csv_rows(opened: IO[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(_lines(opened), delimiter="\t" if opened.name.lower().endswith(".tsv") else ",")
    for row in reader:
        yield reader.line_num, row


def _json_rows(opened: IO[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(_lines(opened), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise csv.Error(f"line {number}: {error}") from error
            if not isinstance(row, dict):
                raise csv.Error(f"line {number} is no JSON object")
            yield number, row


def _lines(opened: IO[str]) -> Iterator[str]:
    """The lines of a file that anybody wrote; one without an end is refused before it fills the memory."""
    while line := opened.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise csv.Error(f"a line has {_LONGEST_LINE:,} characters or more")
        yield line


def _entry(path: Path, line: int, row: Mapping[str, Any]) -> _Entry:
    where = next((row[key] for key in _PATH_KEYS if row.get(key)), None)
    label = row.get(_LABEL_KEY)
    if not isinstance(where, str) or "\0" in where:
        raise DataError(f"dataset.root: line {line} of {path} has no `path`; give {_FORM}")
    if isinstance(label, bool) or not isinstance(label, str | int | None):
        raise DataError(f"dataset.root: line {line} of {path}: `label` must be text or a whole number")
    return _Entry(line, where, None if label in (None, "") else str(label))


def _classes(path: Path, entries: Sequence[_Entry]) -> list[str]:
    """The different labels in order; none where no image has one."""
    names = sorted({entry.label for entry in entries if entry.label is not None})
    without = next((entry for entry in entries if entry.label is None), None)
    if names and without is not None:
        raise DataError(
            f"dataset.root: line {without.line} of {path} has no `label`, and others have; give one to every image, "
            "or none"
        )
    if len(names) == 1:
        what = "give two classes or more, or no labels"
        raise DataError(f"dataset.root: all labels of {path} are {printable(names[0])!r}; {what}")
    return names


def _looked_up(folder: Path, path: str) -> ImageFile | LeftOut:
    try:
        status = os.stat(folder / path)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return LeftOut(path, BROKEN_LINK if (folder / path).is_symlink() else _MISSING)
    except (OSError, ValueError):
        return LeftOut(path, CANNOT_BE_OPENED)
    if not stat.S_ISREG(status.st_mode):
        return LeftOut(path, NOT_REGULAR)
    return ImageFile(path, (status.st_size, status.st_mtime_ns, status.st_ctime_ns))

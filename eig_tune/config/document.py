"""A YAML file as one mapping, read strictly: a mistake is refused with the number of its line.

Plain values are read by YAML 1.2's rules: ``3e-3`` is a number; ``1:30``, ``on`` and dates are text, which the field
converts if it can. A key that is written twice is refused, where PyYAML would keep the last one.
"""

import codecs
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from eig_tune.errors import ConfigError, Problem, one_line

_MOST_BYTES = 1_000_000
_MOST_VALUES = 100_000  # an alias counts as what it stands for: a few lines can stand for more than memory holds
_DEEPEST = 20
_BEGINS_WITH_GREATER = ("chomping or indentation indicators", "character '>' that cannot start")  # PyYAML's words
_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"


class _Loader(yaml.SafeLoader):
    """Knows mappings, sequences, text, whole and other numbers, true, false and null, and nothing else."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML declares it so)
    yaml_constructors: ClassVar[dict[Any, Any]] = {
        tag: yaml.SafeLoader.yaml_constructors[tag]
        for tag in (f"{_TAG}null", f"{_TAG}str", f"{_TAG}seq", f"{_TAG}map", None)
    }


def _bool(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _float(text: str) -> float:
    return float(re.sub(r"\.(?=[a-z])", "", text.lower()))  # .inf and .nan have no dot in Python


def _add_type(kind: str, form: str, first: str, convert: Callable[[str], object] | None) -> None:
    _Loader.add_implicit_resolver(_TAG + kind, re.compile(rf"(?:{form})\Z"), list(first))
    if convert is None:
        return

    def construct(loader: _Loader, node: ScalarNode) -> object:
        try:
            return convert(node.value)
        except (ValueError, KeyError) as error:
            raise _error(node, f"{node.value[:40]!r} is no {kind}") from error

    _Loader.add_constructor(_TAG + kind, construct)


_add_type("null", "~|null|Null|NULL|", "~nN\0", None)
_add_type("merge", "<<", "<", None)
_add_type("bool", "true|True|TRUE|false|False|FALSE", "tTfF", _bool)
_add_type("int", "[-+]?(?:0|[1-9][0-9]{0,30})", "-+0123456789", int)
_add_type("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", "-+.0123456789", _float)
_add_type("float", r"[-+]?[0-9]+[eE][-+]?[0-9]+", "-+0123456789", _float)
_add_type("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+.", _float)
_Loader.yaml_implicit_resolvers[""] = _Loader.yaml_implicit_resolvers.pop("\0")  # nothing written is null


def read_document(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds; UTF-8, or UTF-16 with its mark.

    Raises:
        ConfigError: the file cannot be read, or is not one YAML mapping; one problem.
    """
    try:
        value = parse_value(_text(path))
    except FileNotFoundError as error:
        raise _refused(path, "there is no such file") from error
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise _refused(path, str(error)) from error
    if value is None:
        raise _refused(path, "is empty; a search needs at least the keys dataset and search")
    if not isinstance(value, dict):
        raise _refused(path, "must be a mapping with the keys dataset, search, …")
    return value


def parse_value(text: str) -> Any:
    """The value that a YAML text stands for.

    Raises:
        ValueError: it is not one YAML document, or one with a mistake; the message is one line.
    """
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _measure(node, (), {})
        return loader.construct_document(node)
    except RecursionError as error:
        raise ValueError(f"is nested more than {_DEEPEST} deep") from error
    except yaml.YAMLError as error:
        raise ValueError(f"is not valid YAML: {_explanation(error, text)}") from error
    finally:
        if loader is not None:
            loader.dispose()


def _refused(path: Path, what: str) -> ConfigError:
    return ConfigError(str(path), [Problem("(the file)", what)])


def _text(path: Path) -> str:
    with path.open("rb") as file:
        raw = file.read(_MOST_BYTES + 1)
    if len(raw) > _MOST_BYTES:
        raise ValueError(f"is too large for a search's YAML, which has {_MOST_BYTES:,} bytes at most")
    marked = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return raw.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line}: is not UTF-8 text; save the file with the encoding UTF-8") from error


def _measure(node: Node, above: tuple[Node, ...], known: dict[int, int]) -> int:
    """How many values a node stands for, aliases followed; refuses keys that are no words, or written twice."""
    if node in above:
        raise _error(node, "this contains itself")
    if len(above) > _DEEPEST:
        raise _error(node, f"is nested more than {_DEEPEST} deep")
    if id(node) not in known:
        size = 1
        if isinstance(node, MappingNode):
            _check_keys(node)
        for child in _children(node):
            size += _measure(child, (*above, node), known)
        if size > _MOST_VALUES:
            raise _error(node, f"is too large: with its aliases it stands for more than {_MOST_VALUES:,} values")
        known[id(node)] = size
    return known[id(node)]


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [value for _, value in node.value]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _check_keys(node: MappingNode) -> None:
    seen = set[str]()
    for key, _ in node.value:
        if not isinstance(key, ScalarNode):
            raise _error(key, "a key must be a word")
        if key.value in seen:
            raise _error(key, f"the key {key.value!r} is written twice; keep one of them")
        seen.add(key.value)
        if key.tag != _MERGE:
            key.tag = f"{_TAG}str"  # whatever else it looks like


def _error(node: Node, problem: str) -> ConstructorError:
    return ConstructorError(None, None, problem, node.start_mark)


def _explanation(error: yaml.YAMLError, text: str) -> str:
    """The line number and the problem, on one line."""
    if isinstance(error, ReaderError):
        return f"line {text.count(chr(10), 0, error.position) + 1}: {error.reason}"
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return one_line(error)
    explanation = f"line {error.problem_mark.line + 1}: {error.problem}"
    if any(sign in str(error.problem) for sign in _BEGINS_WITH_GREATER):
        explanation += "; a text that begins with > needs quotes, such as '>= 0.8'"
    if error.context and error.context_mark is not None:
        explanation += f" ({error.context}, from line {error.context_mark.line + 1} on)"
    return explanation

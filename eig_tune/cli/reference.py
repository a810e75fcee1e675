"""``docs/reference.md``, made from the code: the keys of a space file, the metrics, and the commands.

It lies here because only the command line may import what it describes. ``make reference`` writes it.
"""

import signal
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import typer
import typer.main

from eig_tune.cli.app import app
from eig_tune.config.distributions import Distribution
from eig_tune.config.json_schema import space_schema
from eig_tune.data.sources import SOURCES, Source
from eig_tune.errors import EigTuneError
from eig_tune.evaluation.base import Metric
from eig_tune.evaluation.metrics import METRICS
from eig_tune.models import METHODS, USES, Method
from eig_tune.models.networks import NETWORKS, Network
from eig_tune.stopping import STOPPED_CODE, Interrupted

_REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"
_SECTIONS = {
    "dataset": "DatasetConfig",
    "model": "NetworkSettings",
    "train": "TrainSettings",
    "augment": "AugmentSettings",
    "asha": "AshaSettings",
    "confirm": "ConfirmSettings",
}
_IMBALANCES = ("ImbalanceSplit", "ImbalanceFile")
_SYMBOLS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_TYPES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "`true` or `false`"}
_HEAD = """# Reference

Every key of a space file, every metric and every command. This page is made from the code by `make reference`; a
change belongs in the code.
"""
_SPACE = """## The space file

One YAML mapping. A key that is not listed here is refused, and so is a key that is written twice. `eig-tune validate
FILE` reports every mistake at once. An editor checks and completes a file by its JSON schema,
[space.schema.json](../eig_tune/config/space.schema.json), which `eig-tune schema` prints.
"""
_DATA = """How the files of each have to lie is in [data.md](data.md).
"""
_METRICS = """## Metrics

Computed at every report of a trial, and again at its end with more images. A metric with a direction may be an
objective. Those that need labels need an evaluation classifier too, and are left out where there are no labels.

A search needs an objective that no bad model is best in as well, and one over `categories` a metric with labels or one
of your own, because the number of categories changes all others.
"""
_COMMANDS = """## Commands

Results go to stdout, messages and progress to stderr. Every command has `--help`.
"""


def reference() -> str:
    """The text of the page."""
    return "\n".join([_HEAD, *_space(), *_metrics(), *_commands()])


def _space() -> Iterable[str]:
    schema = space_schema()
    definitions = schema["definitions"]
    yield _SPACE
    yield _keys(schema)
    for section, definition in _SECTIONS.items():
        yield f"### `{section}`\n\n{_prose(definitions[definition])}\n"
        yield _keys(definitions[definition])
    yield f"### `dataset.name`\n\n{_DATA}"
    yield _table(
        ("name", "images", "`root`", "default `image_size`", "default `channels`"), map(_source, SOURCES.values())
    )
    yield "### `dataset.imbalance`\n\n`none` leaves the classes as they are; else one of two mappings.\n"
    for form in _IMBALANCES:
        yield f"{_prose(definitions[form])}\n"
        yield _keys(definitions[form])
    yield "### `method`\n"
    yield _table(("method", "model", "prior", "λ2", "λ3", "source"), map(_method, METHODS.values()))
    yield "### `model.network`\n"
    yield _table(("network", "for images", "source"), map(_network, NETWORKS.values()))
    yield f"### `search`\n\n{_plain(Distribution.__doc__ or '')}\n"
    rows = [(f"`{name}`", str(field.description)) for name, field in Distribution.model_fields.items()]
    yield _table(("key", "meaning"), rows)


def _keys(section: dict[str, Any]) -> str:
    required = section.get("required", ())
    rows = [
        (
            f"`{name}`",
            "required" if name in required else _default(key),
            _range(key),
            _meaning(name, key),
        )
        for name, key in section["properties"].items()
    ]
    return _table(("key", "default", "values", "meaning"), rows)


def _meaning(name: str, key: dict[str, Any]) -> str:
    return f"{key['description']}; used {USES[name].where}" if name in USES else str(key["description"])


def _default(key: dict[str, Any]) -> str:
    value = key.get("default")
    return "—" if value is None else f"`{_as_yaml(value)}`"


def _as_yaml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_as_yaml(each)}" for name, each in value.items()) + "}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _range(key: dict[str, Any]) -> str:
    """The values that a key may have, in words."""
    if "anyOf" in key:
        return _range(next(form for form in key["anyOf"] if form.get("type") != "null"))
    if "enum" in key:
        return ", ".join(f"`{value}`" for value in key["enum"])
    if "oneOf" in key or "$ref" in key or key["type"] in ("object", "array"):
        return "list of points" if key.get("type") == "array" else "see below"
    if key.get("format") == "path":
        return "path"
    bounds = [f"{symbol} {key[name]:,}" for name, symbol in _SYMBOLS.items() if name in key]
    steps = [f"multiple of {key['multipleOf']}"] if "multipleOf" in key else []
    return ", ".join([_TYPES[key["type"]], *bounds, *steps])


def _source(row: Source) -> tuple[str, ...]:
    root = {"needed": row.root_is, "fetched": "where it lies or is downloaded to", "none": "—"}[row.root]
    return (f"`{row.name}`", row.meaning, root, row.image_size, row.channels)


def _method(method: Method) -> tuple[str, ...]:
    switches = ("on" if on else "off" for on in (method.transformation, method.entropy))
    return (f"`{method.name}`", method.model.name, method.prior, *switches, method.citation)


def _network(network: Network) -> tuple[str, ...]:
    return (f"`{network.name}`", network.sides, network.source)


def _metrics() -> Iterable[str]:
    yield _METRICS
    head = ("metric", "direction", "values", "needs labels", "meaning", "also best for", "source")
    yield _table(head, map(_metric, METRICS.values()))


def _metric(row: Metric) -> tuple[str, ...]:
    low, high = (f"{bound:g}".replace("inf", "∞") for bound in row.bounds)
    values = f"{low} to {high} {row.unit}".strip()
    return (f"`{row.name}`", row.direction or "reported only", values, "yes" if row.needs_labels else "no", row.meaning,
            row.fooled_by or "—", row.source)  # fmt: skip


def _commands() -> Iterable[str]:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    yield _COMMANDS
    yield _table(("exit code", "when"), _exit_codes())
    yield "### `eig-tune`\n"
    yield _options(group, "eig-tune")
    for name, command in group.commands.items():
        usage = command.get_usage(typer.Context(command, info_name=f"eig-tune {name}"))
        yield f"### `eig-tune {name}`\n\n    {usage.removeprefix('Usage: ')}\n\n{_plain(command.help or '')}\n"
        yield _options(command, name)


def _options(command: Any, name: str) -> str:
    context = typer.Context(command, info_name=name)
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    rows = [(f"`{record[0]}`", record[1]) for record in records if record is not None and record[0] != "--help"]
    return _table(("argument or option", "meaning"), rows) if rows else ""


def _exit_codes() -> list[tuple[str, str]]:
    signals = {number: str(Interrupted(number).exit_code) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    return [
        ("0", "the command has done its work"),
        ("1", "a bug of eig-tune, with its traceback"),
        (str(EigTuneError.exit_code), "something that you can mend, in one message: what, where, and what is right"),
        (
            str(STOPPED_CODE),
            "its time budget is over, or `eig-tune stop` has ended it, before its work was done; `--resume` continues",
        ),
        *((code, f"ended by {number.name}; `--resume` continues") for number, code in signals.items()),
    ]


def _prose(definition: dict[str, Any]) -> str:
    return _plain(definition["description"])


def _plain(docstring: str) -> str:
    """A docstring as Markdown."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in docstring.replace("``", "`").split("\n\n"))
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


if __name__ == "__main__":
    _REFERENCE.write_text(reference(), encoding="utf-8")

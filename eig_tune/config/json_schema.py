"""The JSON schema of a space file, with which an editor completes and checks it.

It is made from the models that read the file, so that the two agree on keys, types and ranges. It cannot say how values
must fit together, such as a range's low end below its high end. It is stricter in one way: it takes no number in
quotes, and nothing but ``true`` and ``false`` for a switch, where the loader converts ``"64"``, ``yes`` and ``0``.

The dialect is draft 7, which every editor knows.
"""

from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from eig_tune.config import constraints
from eig_tune.config.checks import searchable_fields
from eig_tune.config.distributions import KINDS
from eig_tune.config.space import SearchSpec
from eig_tune.data.sources import SOURCES
from eig_tune.evaluation.metrics import METRICS
from eig_tune.models import METHODS
from eig_tune.schema import Section
from eig_tune.strict_json import dumps
from eig_tune.training.config import field_names, kind_of, section_of

Schema = dict[str, Any]
SCHEMA_FILE = Path(__file__).with_name("space.schema.json")  # as it is shipped
_LINE = 120
_ABOVE_0 = {"exclusiveMinimum": 0}


class _Generator(GenerateJsonSchema):
    """Pydantic's own, without the titles that it makes of field names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        described = super().model_schema(schema)
        described.pop("title", None)
        return described


def shipped_schema() -> str:
    """The text of the schema that lies beside this module."""
    return SCHEMA_FILE.read_text(encoding="utf-8")


def schema_text() -> str:
    """The schema as the shipped file must have it."""
    return _written(space_schema()) + "\n"


def space_schema() -> Schema:
    """The schema of a whole space file."""
    schema = SearchSpec.model_json_schema(ref_template="#/definitions/{model}", schema_generator=_Generator)
    definitions = {name: part for name, part in schema.pop("$defs").items() if name != "Distribution"}
    definitions["when"] = _object({name: _one_or_several(_field(name)) for name in field_names()})
    definitions["method"] = {"enum": [*METHODS]}
    definitions["point"] = _object({name: _field(name) for name in searchable_fields()})
    definitions["row"] = _object({name: _field(name) for name in field_names() if name != "method"})
    properties = schema["properties"]
    for section in ("model", "train", "augment", "asha", "confirm"):
        del properties[section]["default"]  # is that of each of its fields
    properties["method"] = {**properties["method"], **definitions["method"]}
    properties["search"] |= _object({name: _entry(name) for name in searchable_fields()})
    properties["start_from"]["items"] = {"$ref": "#/definitions/point"}
    properties["objectives"] |= _object(_directions())
    properties["constraints"] |= _object(_bounds())
    properties["compare"] |= _object({name: {"$ref": "#/definitions/row"} for name in METHODS})
    _refine_dataset(definitions["DatasetConfig"])
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Space of an eig-tune search", **schema,
            "definitions": definitions}  # fmt: skip


def _directions() -> Schema:
    """For each metric that may be an objective, the one direction in which it is better."""
    rows = [row for row in METRICS.values() if row.direction is not None]
    return {row.name: {"const": row.direction, "description": row.meaning} for row in rows}


def _bounds() -> Schema:
    """For each metric a bound, written as text."""
    return {
        row.name: {"type": "string", "pattern": constraints.pattern(row), "description": row.meaning}
        for row in METRICS.values()
    }


def _refine_dataset(dataset: Schema) -> None:
    """A user's own folder or file needs its path; labels are those of arrays in a file."""
    needing = [row.name for row in SOURCES.values() if row.root == "needed"]
    dataset["allOf"] = [
        {
            "if": {"properties": {"name": {"enum": needing}}},
            "then": {"required": ["root"], "properties": {"root": {"type": "string"}}},
        },
        {
            "if": {"properties": {"labels": {"type": "string"}}, "required": ["labels"]},
            "then": {"properties": {"name": {"const": "array-file"}}},
        },
    ]


def _field(name: str) -> Schema:
    """A value of the field ``name``."""
    section = section_of(name)
    if section is None:
        return {"$ref": "#/definitions/method"}
    return {"$ref": f"#/definitions/{_model_of(section).__name__}/properties/{name}"}


def _model_of(section: str) -> type[Section]:
    model = SearchSpec.model_fields[section].annotation
    assert isinstance(model, type) and issubclass(model, Section)
    return model


def _entry(name: str) -> Schema:
    """An entry of ``search``: one kind of distribution with values of the field ``name``, and perhaps a condition."""
    value, kind = _field(name), kind_of(name)
    kinds: Schema = {"choice": {"type": "array", "items": value, "minItems": 2, "uniqueItems": True}}
    if kind in (int, float):
        kinds |= {
            "uniform": _pair(value),
            "loguniform": _pair({"allOf": [value, _ABOVE_0]}),
            "randint": _pair({"allOf": [value, {"type": "integer"}]}),
            "quniform": {
                "type": "array",
                "items": [value, value, {"type": "integer" if kind is int else "number", **_ABOVE_0}],
                "minItems": 3,
                "additionalItems": False,
            },
        }
    one_kind = [{"required": [name]} for name in KINDS if name in kinds]
    return {**_meaning(name), **_object({**kinds, "when": {"$ref": "#/definitions/when"}}), "oneOf": one_kind}


def _meaning(name: str) -> Schema:
    section = section_of(name)
    model = SearchSpec if section is None else _model_of(section)
    return {"description": model.model_fields[name].description}


def _pair(value: Schema) -> Schema:
    return {"type": "array", "items": value, "minItems": 2, "maxItems": 2}


def _one_or_several(value: Schema) -> Schema:
    return {"anyOf": [value, {"type": "array", "items": value, "minItems": 1}]}


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _written(value: Any, indent: str = "") -> str:
    """JSON text with everything on one line that fits there."""
    line = dumps(value, ensure_ascii=False)
    if len(indent + line) <= _LINE or not isinstance(value, dict | list):
        return line
    deeper = indent + "  "
    if isinstance(value, list):
        return "[\n" + ",\n".join(deeper + _written(each, deeper) for each in value) + f"\n{indent}]"
    entries = (f"{deeper}{dumps(key)}: {_written(each, deeper)}" for key, each in value.items())
    return "{\n" + ",\n".join(entries) + f"\n{indent}}}"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")

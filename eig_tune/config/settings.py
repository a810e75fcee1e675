"""Settings as a command line has them: ``key=value`` texts."""

from collections.abc import Sequence
from typing import Any

from eig_tune.config.document import parse_value
from eig_tune.errors import ConfigError, Problem, one_line


def parse_settings(settings: Sequence[str], command: str, option: str = "") -> dict[str, Any]:
    """The settings in ``key=value`` texts, each value as YAML has it.

    Args:
        settings: the texts.
        command: in which they were typed, for errors.
        option: behind which each was typed, if any.

    Raises:
        ConfigError: a text is not of that form, or a key is given twice; every problem is reported.
    """
    parsed: dict[str, Any] = {}
    problems = []
    for setting in settings:
        name, equals, text = setting.partition("=")
        try:
            if not equals:
                raise ValueError("write it as key=value")
            if name in parsed:
                raise ValueError(f"{name} is set twice; keep one of them")
            parsed[name] = parse_value(text)
        except ValueError as error:
            problems.append(Problem(f"{option} {one_line(setting)[:60]}".strip(), str(error)))
    if problems:
        raise ConfigError(command, problems)
    return parsed

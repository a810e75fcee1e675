"""``eig-tune schema``."""

import typer


def schema() -> None:
    """Print the JSON schema of a space file, with which an editor completes and checks it.

    Save it beside your file and name it in the file's first line: `# yaml-language-server: $schema=space.schema.json`.
    """
    from eig_tune.config.json_schema import shipped_schema

    typer.echo(shipped_schema(), nl=False)

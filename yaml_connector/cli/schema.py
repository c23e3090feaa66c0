"""`yaml-connector schema`: print the JSON Schema that editors use."""

from __future__ import annotations

import click


@click.command()
@click.option("--tests", is_flag=True, help="The schema of contract tests (NAME.test.yaml).")
def schema(tests: bool) -> None:
    """Print the JSON Schema of specs, or of contract tests.

    An editor with a YAML language server completes and explains every field of a file that starts with
    `# yaml-language-server: $schema=PATH`.

    \b
    Examples:
      yaml-connector schema > connector.v1.json
      yaml-connector schema --tests > connector-test.v1.json
    """
    if tests:
        from yaml_connector.testing.json_schema import schema_text
    else:
        from yaml_connector._spec.json_schema import schema_text
    click.echo(schema_text(), nl=False)

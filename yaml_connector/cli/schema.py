"""`yaml-connector schema`: what editors complete and explain from (section 2)."""

from __future__ import annotations

import click


@click.command(short_help="Print the JSON Schema for editors.")
@click.option("--tests", is_flag=True, help="Of contract tests (NAME.test.yaml) in place of specs.")
def schema(tests: bool) -> None:
    """Print the JSON Schema of specs, or of contract tests, made from what checks them.

    An editor with a YAML language server completes and explains every field once a file begins with
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

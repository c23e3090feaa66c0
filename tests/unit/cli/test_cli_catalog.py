"""`yaml-connector catalog`: the specs are found in a checkout and in an installed package, and can be copied."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.command_line import Command
from tests.support.paths import CATALOG, ROOT
from tests.support.real_processes import clean_environment, script
from yaml_connector.cli.catalog.page import page


def names() -> set[str]:
    return {path.stem for path in (CATALOG).glob("*.yaml") if ".test." not in path.name}


def test_all_specs_are_listed_with_what_they_do(command: Command) -> None:
    found = json.loads(command("catalog", "list", "--format", "json").stdout)
    assert {item["name"] for item in found} == names()
    assert "Databricks Job: Runs a notebook or a Python file on Databricks." in command("catalog", "list").stdout


def test_the_list_shows_kind_auth_and_what_a_spec_supports(command: Command) -> None:
    by_name = {item["name"]: item for item in json.loads(command("catalog", "list", "--json").stdout)}
    slurm, kubernetes = by_name["slurm_container"], by_name["kubernetes_job"]
    assert (slurm["kind"], slurm["auth"], slurm["supports"]) == (
        "container",
        "api_key",
        ["cancel", "adopt", "container"],
    )
    assert kubernetes["supports"] == ["logs", "cancel", "idempotent", "container"]
    assert by_name["docker_engine"]["auth"] == "none"
    assert by_name["airflow"]["ran_against"].startswith("Airflow 3.3.2")
    assert by_name["gcp_batch"]["ran_against"] is None
    assert by_name["docker_engine"]["documentation"] == "https://docs.docker.com/reference/api/engine/version/v1.43/"
    assert "container; auth api_key; cancel, adopt, container\n" in command("catalog", "list").stdout


def test_a_missing_catalog_is_an_error(command: Command, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (here, here / "nowhere", here / "a_file"):
        (here / "a_file").write_text("../catalog", encoding="utf-8")  # a symbolic link, checked out on Windows
        monkeypatch.setattr("yaml_connector.catalog.files", lambda package, folder=folder: folder)
        done = command("catalog", "list")
        assert (done.returncode, done.stdout) == (1, "")
        assert "the catalog is missing from this installation" in done.stderr


def test_specs_are_searched_by_all_words(command: Command) -> None:
    found = json.loads(command("catalog", "search", "Databricks", "notebook", "--format", "json").stdout)
    assert "databricks_job" in {item["name"] for item in found}
    assert command("catalog", "search", "no such thing").returncode == 1


def test_specs_that_have_a_word_in_name_or_tags_come_first(command: Command) -> None:
    found = [item["name"] for item in json.loads(command("catalog", "search", "gpu", "--json").stdout)]
    assert found.index("slurm_container") < found.index("nomad_job")  # a tag, and a line of the spec
    assert "aws_batch_container" in found


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["databrik"], "no spec of the catalog contains 'databrik'; closest: databricks_job"),
        (["slurm", "nonsense"], "contains 'slurm' and 'nonsense'; closest: slurm"),
        (["Qwertz"], "no spec of the catalog contains 'Qwertz'; `yaml-connector catalog list` shows all"),
        (["\x1b[31m" + "x" * 9000], "`yaml-connector catalog list` shows all"),
    ],
)
def test_a_search_that_finds_nothing_names_the_closest(command: Command, words: list[str], told: str) -> None:
    for more in ([], ["--json"]):
        done = command("catalog", "search", *words, *more)
        assert (done.returncode, done.stdout.strip()) == (1, "[]" if more else "")
        assert told in done.stderr
        assert "\x1b" not in done.stderr


def test_the_pages_of_the_catalog_are_current(command: Command) -> None:
    """`make reference` writes them."""
    for form, ending in (("markdown", "md"), ("html", "html")):
        page = (ROOT / "docs" / f"catalog.{ending}").read_text(encoding="utf-8")
        assert command("catalog", "list", "--format", form).stdout == page, "run: make reference"


def test_text_of_a_spec_is_escaped_in_the_pages() -> None:
    summary = {
        "name": "odd", "task_type": "odd", "title": "<b>a|b", "description": "*d*", "kind": "batch", "auth": "none",
        "supports": ["logs"], "version": "1.2. More", "documentation": "https://x.test/", "ran_against": None,
    }  # fmt: skip
    assert r"**\<b\>a\|b**: \*d\* | batch | [1.2](https://x.test/) |" in page([summary], "markdown")
    assert "&lt;b&gt;a|b: *d*" in page([summary], "html")


def test_a_spec_and_its_test_are_shown(command: Command) -> None:
    assert command("catalog", "show", "slurm").stdout == (CATALOG / "slurm.yaml").read_text(encoding="utf-8")
    assert "tests:" in command("catalog", "show", "slurm", "--test").stdout


def test_a_spec_is_copied_with_its_test_and_what_they_read(command: Command) -> None:
    done = command("catalog", "add", "openai_batch")
    assert done.returncode == 0
    assert sorted(path.name for path in Path("connectors.d").iterdir()) == [
        ".schema",
        "openai_batch.requests.jsonl",
        "openai_batch.test.yaml",
        "openai_batch.yaml",
    ]
    assert command("test", "connectors.d").returncode == 0
    again = command("catalog", "add", "openai_batch")
    assert again.returncode == 1
    assert "already exists; overwrite with --force" in again.stderr


def schema_of(file: Path) -> Path:
    """The schema that a file names to editors."""
    line = file.read_text(encoding="utf-8").partition("\n")[0]
    return (file.parent / line.removeprefix("# yaml-language-server: $schema=")).resolve()


def test_editors_find_the_schemas_of_a_copy_in_a_project_that_had_none(command: Command, here: Path) -> None:
    for name in ("slurm", "ray"):  # the schemas may be there already
        assert command("catalog", "add", name).returncode == 0
        for file, schema in ((f"{name}.yaml", "connector.v1.json"), (f"{name}.test.yaml", "connector-test.v1.json")):
            found = schema_of(here / "connectors.d" / file)
            assert found == here / "connectors.d" / ".schema" / schema
            assert found.read_text(encoding="utf-8") == (ROOT / "schema" / schema).read_text(encoding="utf-8")
    assert not (here / "schema").exists()
    assert command("validate", "connectors.d").returncode == 0


def test_a_copy_names_the_schemas_that_a_project_has(command: Command, here: Path) -> None:
    (here / "schema").mkdir()
    (here / "schema" / "connector.v1.json").write_text("{}", encoding="utf-8")
    assert command("catalog", "add", "airflow").returncode == 0
    assert schema_of(here / "connectors.d" / "airflow.yaml") == here / "schema" / "connector.v1.json"
    assert (here / "schema" / "connector.v1.json").read_text(encoding="utf-8") == "{}"
    original = (CATALOG / "airflow.yaml").read_text(encoding="utf-8")
    assert (here / "connectors.d" / "airflow.yaml").read_text(encoding="utf-8") == original


def test_an_unknown_name_says_the_closest(command: Command) -> None:
    done = command("catalog", "show", "slurn")
    assert done.returncode == 1
    assert "did you mean slurm?" in done.stderr


@pytest.mark.slow
def test_all_commands_are_there_as_a_plugin_of_flytes_own_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [script("flyte"), "yaml-connector", "catalog", "list"],
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "slurm" in done.stdout


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("slurmm", "the catalog has no spec 'slurmm'; did you mean slurm?"),
        ("../../etc/passwd", "the catalog has no spec '../../etc/passwd'; `yaml-connector catalog list` shows all"),
        ("\x1b[31m", "the catalog has no spec '\\x1b[31m'; `yaml-connector catalog list` shows all"),
        ("q" * 10_000, f"the catalog has no spec '{'q' * 20}"),
    ],
)
def test_an_unknown_name_has_one_short_error(name: str, told: str, command: Command) -> None:
    for verb in ("show", "add"):
        done = command("catalog", verb, name)
        assert done.returncode == 1
        assert told in done.stderr
        assert len(done.stderr) < 200


def test_the_files_of_a_copy_are_told_as_json(command: Command) -> None:
    done = command("catalog", "add", "slurm", "--to", "specs", "--json")
    assert json.loads(done.stdout) == {"files": ["specs/slurm.test.yaml", "specs/slurm.yaml"]}
    assert Path("specs/slurm.yaml").is_file()

"""The version of cached results, read from the template that Flyte's own code makes of a task."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from pathlib import Path
from typing import Any

import cloudpickle
import flyte
import pytest
import yaml
from flyte import Cache
from flyte._cache.cache import VersionParameters
from flyte.models import CodeBundle, SerializationContext

from tests.support.flyte_side import template_of
from yaml_connector import task_from_spec
from yaml_connector.flyte._internals import get_proto_task

SPEC: dict[str, Any] = {
    "spec_version": 1,
    "task_type_name": "cached",
    "name": "Cached",
    "description": "One spec.",
    "connection": {"base_url": "http://127.0.0.1:1", "timeout": "5s"},
    "secrets": {"api_key": {"env": "KEY", "description": "A key.", "required": False}},
    "config": {
        "cpus": {"type": "int", "default": 1, "description": "How many."},
        "extra": {"type": "any", "default": None},
    },
    "inputs": {"name": "str"},
    "outputs": {"result": {"type": "str", "value": "$.result"}},
    "create": {
        "request": {
            "method": "POST",
            "path": "/jobs",
            "json": {"name": "${{ inputs.name }}", "config": "${{ config }}", "key": "${{ secrets.api_key }}"},
        },
        "job_id": "$.id",
        "idempotent": True,
    },
    "get": {
        "request": "GET /jobs/${{ job.id }}",
        "phase": {"path": "$.state", "map": {"SUCCEEDED": ["done"], "FAILED": ["error"]}},
    },
    "result": {"request": "GET /jobs/${{ job.id }}/result"},
    "logs": {"request": "GET /jobs/${{ job.id }}/logs", "format": "text"},
}


class Specs:
    """Specs that differ from SPEC in one place, and the tasks that are built of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def task(self, *place: Any, cache: Any = "auto", **arguments: Any) -> Any:
        """A task of SPEC; `place` is where it differs: keys, and the value that is there instead (None: nothing)."""
        spec = deepcopy(SPEC)
        if place:
            *keys, last, value = place
            part: Any = spec
            for key in keys:
                part = part[key]
            if value is None:
                del part[last]
            else:
                part[last] = value
        file = self.folder / "cached.yaml"
        file.write_text(yaml.safe_dump(spec, sort_keys=False))
        return task_from_spec(file, name="one", cache=cache, **arguments)

    def version(self, *place: Any, **arguments: Any) -> str:
        return version_of(self.task(*place, **arguments))


@pytest.fixture
def specs(tmp_path: Path) -> Specs:
    return Specs(tmp_path)


def version_of(task: Any) -> str:
    metadata = template_of(task).metadata
    assert metadata.discoverable
    return str(metadata.discovery_version)


def test_the_same_task_built_twice_has_one_version(specs: Specs) -> None:
    assert specs.version() == specs.version() == specs.version(config={"cpus": 1}) == specs.version(config={})
    assert len(specs.version()) == 64


@pytest.mark.parametrize(
    "place",
    [
        ("create", "request", "path", "/other"),
        ("create", "request", "json", "description", "a field of the API, not of the spec"),
        ("get", "phase", "map", {"FAILED": ["error"], "SUCCEEDED": ["done"]}),
        ("get", "request", "GET /v2/jobs/${{ job.id }}"),
        ("result", "request", "GET /jobs/${{ job.id }}/output"),
        ("result", None),
        ("outputs", "result", "value", "$.text"),
        ("outputs", "result", "default", "none"),
        ("task_type_name", "cached_too"),
        ("task_type_version", 1),
        ("connection", "base_url", "http://127.0.0.1:2"),
        ("connection", "headers", {"X-Tenant": "b"}),
        ("connection", "query", {"api-version": "2"}),
        ("secrets", "api_key", "env", "OTHER_KEY"),
    ],
)
def test_what_decides_the_result_in_a_spec_decides_the_version(specs: Specs, place: tuple[Any, ...]) -> None:
    assert specs.version(*place) != specs.version()


@pytest.mark.parametrize(
    "place",
    [
        ("name", "Another title"),
        ("description", "Said in other words."),
        ("secrets", "api_key", "description", "The key."),
        ("config", "cpus", "description", None),
        ("outputs", "result", "description", "What came out."),
        ("connection", "timeout", "8s"),
        ("logs", None),
    ],
)
def test_what_does_not_decide_the_result_leaves_the_version(specs: Specs, place: tuple[Any, ...]) -> None:
    assert specs.version(*place) == specs.version()


def test_config_and_secret_names_decide_the_version(specs: Specs) -> None:
    """A default counts as the value that it is, and 1 is not 1.0."""
    several: list[dict[str, Any]] = [
        {},
        {"config": {"cpus": 2}},
        {"config": {"extra": 1}},
        {"config": {"extra": 1.0}},
        {"config": {"extra": "1"}},
        {"config": {"extra": {"a": 1, "b": 2}}},
        {"config": {"extra": {"b": 2, "a": 1}}},
        {"secrets": {"api_key": "alice"}},
        {"secrets": {"api_key": "bob"}},
    ]
    assert len({specs.version(**arguments) for arguments in several}) == len(several)
    assert specs.version("config", "cpus", "default", 2) == specs.version(config={"cpus": 2})


def test_a_changed_config_object_changes_the_version(specs: Specs) -> None:
    task = specs.task()
    task.plugin_config.cpus = 7
    assert version_of(task) == specs.version(config={"cpus": 7})


def test_salt_and_other_policies_count_and_a_version_override_stays(specs: Specs) -> None:
    class Daily:
        def get_version(self, salt: str, params: VersionParameters[..., Any]) -> str:
            return "monday"

    given = Cache("auto", salt="a")
    versions = [
        specs.version(cache=cache)
        for cache in ("auto", given, Cache("auto", salt="b"), Cache("auto", policies=[Daily()]), Cache("override"))
    ]
    assert len(set(versions)) == 4
    assert versions[0] == versions[-1]
    assert [type(policy).__name__ for policy in given.policies or ()] == ["FunctionBodyPolicy"], (
        "the caller's is changed"
    )
    for behavior in ("auto", "override"):
        fixed = Cache(behavior, version_override="v7", ignored_inputs=("name",), serialize=True)  # type: ignore[arg-type]
        metadata = template_of(specs.task(cache=fixed)).metadata
        assert (metadata.discovery_version, metadata.cache_serializable) == ("v7", True)
        assert list(metadata.cache_ignore_input_vars) == ["name"]


def test_override_gives_the_version_of_a_task_that_is_built_so(specs: Specs) -> None:
    plain = specs.task(cache="disable")
    assert not template_of(plain).metadata.discoverable
    assert version_of(plain.override(cache="auto")) == specs.version()
    task = specs.task()
    assert version_of(task.override(plugin_config={"cpus": 2})) == specs.version(config={"cpus": 2})
    assert version_of(task.override(api_key="alice")) == specs.version(secrets={"api_key": "alice"})
    salted = task.override(cache=Cache("auto", salt="s"), plugin_config={"cpus": 3})
    assert version_of(salted) == specs.version(cache=Cache("auto", salt="s"), config={"cpus": 3})
    assert version_of(salted.override(retries=2)) == version_of(salted)
    assert version_of(task) == specs.version()
    borrowed = specs.task(config={"cpus": 9}, cache=task.cache)
    assert version_of(borrowed) == specs.version(config={"cpus": 9})


def test_a_task_that_was_pickled_has_its_version(specs: Specs) -> None:
    task = specs.task(config={"cpus": 4})
    assert version_of(cloudpickle.loads(cloudpickle.dumps(task))) == version_of(task)


def test_local_runs_share_cached_results_by_the_same_version(specs: Specs, flyte_home: None) -> None:
    """Flyte's local controller asks the cache itself, without a template."""
    caches = [specs.task(config={"cpus": cpus}).cache for cpus in (1, 1, 2)]
    versions = [cache.get_version(VersionParameters(func=None, image=None)) for cache in caches]
    assert versions[0] == versions[1] != versions[2]
    assert versions[0] == specs.version()


def test_flyte_gives_all_tasks_of_a_pickled_bundle_the_bundle_s_version(specs: Specs) -> None:
    """A fact about Flyte: from a notebook neither a policy nor a version_override counts."""
    bundle = CodeBundle(pkl="s3://b/code.pkl", computed_version="of the bundle", destination=".")
    context = SerializationContext(project="p", domain="d", org="o", version="v", code_bundle=bundle)
    for cache in ("auto", Cache("auto", version_override="v7")):
        assert get_proto_task(specs.task(cache=cache), context).metadata.discovery_version == "of the bundle"


def test_flyte_gives_a_task_without_a_function_the_version_of_nothing() -> None:
    """Why a version of our own: a fact about Flyte."""
    version = Cache("auto").get_version(VersionParameters(func=None))
    assert version == Cache("auto", salt="s").get_version(VersionParameters(func=None))
    assert flyte.Cache is Cache
    assert not asyncio.iscoroutinefunction(Cache.get_version)

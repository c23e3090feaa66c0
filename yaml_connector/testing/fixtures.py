"""The values that a test passes to the connector: the file's defaults and the test's own, checked against the spec."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from yaml_connector._jobs.container import ContainerEnd, ContainerFailure
from yaml_connector._loading.document import Document
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.fields import Path
from yaml_connector._spec.task_fields import Container, Task
from yaml_connector._spec.task_values import check_inputs, check_outputs, complete_config, spec_outputs, unknown_names
from yaml_connector.errors import ConfigError, Diagnostic
from yaml_connector.testing.model import ContractTests, Generate, Test


@dataclass(frozen=True)
class Fixtures:
    """The values of one test. `make_secrets` generates those secrets that are to be generated."""

    config: Mapping[str, Any]
    inputs: Mapping[str, Any]
    secrets: Mapping[str, str | Generate]
    env: Mapping[str, str]
    outputs: Mapping[str, str]
    task: Mapping[str, Any]
    container_end: ContainerEnd


def fixtures_of(
    tests: ContractTests, index: int, spec: ConnectorSpec, document: Document
) -> tuple[Fixtures | None, list[Diagnostic]]:
    """Return the values of test number `index` (from 0), or None and the problems with their places in the file."""
    return _Merge(tests, index, spec, document).run()


class _Merge:
    def __init__(self, tests: ContractTests, index: int, spec: ConnectorSpec, document: Document) -> None:
        self.test: Test = tests.tests[index]
        self.defaults = tests.defaults
        self.index = index
        self.spec = spec
        self.document = document
        self.problems: list[Diagnostic] = []

    def run(self) -> tuple[Fixtures | None, list[Diagnostic]]:
        spec, defaults, test = self.spec, self.defaults, self.test
        config, inputs, secrets, env = (
            {**getattr(defaults, name), **getattr(test, name)} for name in ("config", "inputs", "secrets", "env")
        )
        self.report("secrets", unknown_names(spec, "secret", secrets, spec.secrets))
        for number, call in enumerate(test.calls):
            for name, message in unknown_names(spec, "secret", call.secrets, spec.secrets).items():
                path: Path = ("tests", self.index, "calls", number, "secrets", name)
                self.problems.append(self.document.problem(path, message, key=True))
        self.report("config", unknown_names(spec, "config field", config, spec.config))
        try:
            complete_config(spec, {name: value for name, value in config.items() if name in spec.config})
        except ConfigError as error:
            self.report("config", {None: str(error)})
        inputs, problems = check_inputs(spec, inputs)
        self.report("inputs", problems)
        if any(call.kind == "create" for call in test.calls):
            self.check_required(inputs, problems)
        outputs = spec_outputs(spec)
        if any("outputs" in fields.model_fields_set for fields in (defaults, test)):
            outputs, problems = check_outputs(spec, {**defaults.outputs, **test.outputs})
            self.report("outputs", problems)
        if self.problems:
            return None, self.problems
        return Fixtures(
            config,
            inputs,
            {name: value for name, value in secrets.items() if value is not None},
            {name: value for name, value in env.items() if value is not None},
            outputs,
            self.task(),
            self.container_end(),
        ), []

    def check_required(self, inputs: Mapping[str, Any], problems: Mapping[str, str]) -> None:
        """Report inputs that the test lacks: the same for all tests of a file."""
        for name, field in (self.spec.inputs or {}).items():
            if name not in inputs and name not in problems and not field.type.optional:
                lacks = f"the input {name!r} ({field.type}) is missing; Flyte always sends it: {name}: ..."
                self.problems.append(self.document.problem(("defaults", "inputs"), lacks))

    def report(self, section: str, found: Mapping[Any, str]) -> None:
        """Add problems of a section, by name; None stands for the whole section."""
        for name, message in found.items():
            base: Path = ("tests", self.index)
            if section not in self.test.model_fields_set or (
                name is not None and name not in getattr(self.test, section)
            ):
                base = ("defaults",)
            path: Path = (*base, section) if name is None else (*base, section, name)
            if section not in self.test.model_fields_set and section not in self.defaults.model_fields_set:
                path = ("tests", self.index)
            self.problems.append(self.document.problem(path, message, key=name is not None))

    def task(self) -> dict[str, Any]:
        task: dict[str, Any] = Task().model_dump() | {"type": self.spec.task_type_name}
        for fields in (self.defaults, self.test):
            given = fields.task.model_dump(exclude_unset=True, exclude={"container_error"})
            container = given.get("container")
            if container is not None:
                given["container"] = {**Container().model_dump(), **container}
            task |= given
        return task

    def container_end(self) -> ContainerEnd:
        for fields in (self.test, self.defaults):
            left = fields.task.container_error
            if left is not None:
                return ContainerEnd(error=ContainerFailure(left.message, left.recoverable))
            if "container_error" in fields.task.model_fields_set:
                break
        return ContainerEnd(has_outputs=True)


def make_secrets(secrets: Mapping[str, str | Generate | None]) -> dict[str, str]:
    """Return the secrets by name, generated where the test asks for it: once for each name in a process; none for null.

    Raises ConfigError if the library that generates keys is missing.
    """
    return {
        name: value if isinstance(value, str) else _GENERATORS[value.generate](name)
        for name, value in secrets.items()
        if value is not None
    }


@lru_cache(maxsize=64)
def _rsa_key(name: str) -> str:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa
    except ImportError:  # pragma: no cover - the extra is installed wherever the tests run
        raise ConfigError(
            f"generating the secret {name!r} needs a library: pip install 'yaml-connector[jwt]'"
        ) from None
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _google_service_account(name: str) -> str:
    account = {
        "type": "service_account",
        "project_id": "test-project",
        "private_key_id": "test-key-id",
        "private_key": _rsa_key(name),
        "client_email": "test@test-project.iam.gserviceaccount.com",
        "client_id": "100000000000000000001",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    return json.dumps(account)


_GENERATORS: dict[str, Callable[[str], str]] = {"rsa": _rsa_key, "google_service_account": _google_service_account}

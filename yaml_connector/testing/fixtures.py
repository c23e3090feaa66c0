"""The values that a test passes to the connector: the file's defaults and the test's own, checked against the spec."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from yaml_connector._loading.document import Document
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.fields import Path
from yaml_connector._spec.task_fields import Container
from yaml_connector._spec.task_values import check_inputs, check_outputs, complete_config, spec_outputs, unknown_names
from yaml_connector.errors import ConfigError, Diagnostic
from yaml_connector.testing.model import ContractTests, Fields, Generate, Test


@dataclass(frozen=True)
class Fixtures:
    """The values of one test. `make_secrets` generates those secrets that are to be generated."""

    config: Mapping[str, Any]
    inputs: Mapping[str, Any]
    secrets: Mapping[str, str | Generate]
    env: Mapping[str, str]
    outputs: Mapping[str, str]
    task: Mapping[str, Any]


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
        config, inputs, secrets, env = (
            {**getattr(self.defaults, name), **getattr(self.test, name)}
            for name in ("config", "inputs", "secrets", "env")
        )
        self.problems_of("secrets", unknown_names(self.spec, "secret", secrets, self.spec.secrets))
        self.check_config(config)
        inputs = self.checked_inputs(inputs)
        outputs = self.outputs()
        if self.problems:
            return None, self.problems
        return Fixtures(
            config,
            inputs,
            {name: value for name, value in secrets.items() if value is not None},
            {name: value for name, value in env.items() if value is not None},
            outputs,
            self.task(),
        ), []

    def problem(self, section: str, name: str | None, message: str) -> None:
        own: Path = ("tests", self.index)
        base = own if section in self.test.model_fields_set else ("defaults",)
        if name is not None and name not in getattr(self.test, section):
            base = ("defaults",)
        path: Path = (*base, section) if name is None else (*base, section, name)
        if section not in self.test.model_fields_set and section not in self.defaults.model_fields_set:
            path = own
        self.problems.append(self.document.problem(path, message, key=name is not None))

    def problems_of(self, section: str, found: Mapping[str, str]) -> None:
        for name, message in found.items():
            self.problem(section, name, message)

    def check_config(self, config: Mapping[str, Any]) -> None:
        self.problems_of("config", unknown_names(self.spec, "config field", config, self.spec.config))
        try:
            complete_config(self.spec, {name: value for name, value in config.items() if name in self.spec.config})
        except ConfigError as error:
            self.problem("config", None, str(error))

    def checked_inputs(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        checked, problems = check_inputs(self.spec, inputs)
        self.problems_of("inputs", problems)
        return checked

    def outputs(self) -> dict[str, str]:
        if not self.declares_outputs():
            return spec_outputs(self.spec)
        outputs, problems = check_outputs(self.spec, {**self.defaults.outputs, **self.test.outputs})
        self.problems_of("outputs", problems)
        return outputs

    def declares_outputs(self) -> bool:
        return any("outputs" in fields.model_fields_set for fields in (self.defaults, self.test))

    def task(self) -> dict[str, Any]:
        task: dict[str, Any] = Fields().task.model_dump() | {"type": self.spec.task_type_name}
        for fields in (self.defaults, self.test):
            given = fields.task.model_dump(exclude_unset=True)
            container = given.get("container")
            if container is not None:
                given["container"] = {**Container().model_dump(), **container}
            task |= given
        return task


def make_secrets(secrets: Mapping[str, str | Generate]) -> dict[str, str]:
    """Return the secrets by name, generated where the test asks for it: once for each name in a process.

    Raises ConfigError if the library that generates keys is missing.
    """
    return {
        name: value if isinstance(value, str) else _GENERATORS[value.generate](name) for name, value in secrets.items()
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

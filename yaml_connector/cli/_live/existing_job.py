"""A job that exists, as the options of a command describe it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from yaml_connector._clock import clock
from yaml_connector._expressions.value_types import parse_type
from yaml_connector._jobs.compiled_spec import CompiledSpec, RetainedValues
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.task_values import unknown_names
from yaml_connector.cli._options import (
    JobOptions,
    UsageErrors,
    pairs,
    read_config,
    read_inputs,
    read_outputs,
    read_task,
    typed_value,
)


def existing_job(
    plan: CompiledSpec, job: JobOptions, job_id: str, saved: Iterable[str], errors: UsageErrors, *, strict: bool = True
) -> JobMeta:
    """Return the job as Flyte would hand it over: with the values that this spec refers to, and no others.

    What is missing or wrong is added to `errors`; unless `strict`, a value that is missing is left out.
    """
    spec, kept = plan.spec, plan.retained
    asked = needed(spec, kept if strict else None, job)
    task = read_task(spec, job.task, "", errors)
    if "key" in (kept.task or ()) and not task["key"] and strict:
        errors.add("the spec uses task.key, which only the job's create knows: --task key=VALUE")
    return JobMeta(
        spec.task_type_name,
        spec.task_type_version,
        id=job_id,
        created_at=clock().time(),
        digest=plan.digest,
        saved=_saved(spec, saved, errors),
        inputs=kept.of("inputs", read_inputs(asked, _known(spec, "input", job.inputs, errors), errors)),
        config=kept.of("config", read_config(asked, _known(spec, "config field", job.config, errors), errors)),
        task=kept.of("task", task),
        outputs=[[name, kind] for name, kind in read_outputs(spec, job.outputs, errors).items()],
        name=task["key"],
    )


def _known(spec: ConnectorSpec, noun: str, given: tuple[str, ...], errors: UsageErrors) -> list[str]:
    """Return the arguments `NAME=VALUE` that the spec has a field for; another one is an error."""
    fields = spec.inputs if noun == "input" else spec.config
    if fields is None:  # the task declares its own
        return list(given)
    names = {text: text.partition("=")[0].strip() for text in given}
    unknown = unknown_names(spec, noun, [name for text, name in names.items() if "=" in text], fields)
    errors.add(*unknown.values())
    return [text for text in given if names[text] not in unknown]


def needed(spec: ConnectorSpec, kept: RetainedValues | None, job: JobOptions) -> ConnectorSpec:
    """Return the spec with those inputs and config fields that are given, have a default, or are `kept`."""
    given = {name.partition("=")[0].strip() for name in (*job.inputs, *job.config)}

    def is_needed(root: str, name: str) -> bool:
        names = getattr(kept, root) if kept is not None else ()
        return name in given or names is None or name in names

    config = {name: field for name, field in spec.config.items() if not field.required or is_needed("config", name)}
    inputs = spec.inputs and {
        name: field for name, field in spec.inputs.items() if field.type.optional or is_needed("inputs", name)
    }
    return spec.model_copy(update={"config": config, "inputs": inputs})


def _saved(spec: ConnectorSpec, given: Iterable[str], errors: UsageErrors) -> dict[str, Any]:
    """Return the values of `create.save`; a name that it does not have is an error."""
    values = pairs(given, "--saved", errors)
    sections = [section.save for section in (spec.create, spec.create.adopt) if section is not None]
    if all(section is None or isinstance(section, Mapping) for section in sections):
        known = [name for section in sections for name in section or ()]
        errors.add(*unknown_names(spec, "saved value", values, known).values())
    return {name: saved_value(text) for name, text in values.items()}


def saved_value(text: str) -> Any:
    """Return a value as an API would have given it: a number, list or mapping if it is written as JSON writes it."""
    value = typed_value(text, parse_type("any"))
    return value if not isinstance(value, str) and _is_exact(value, text) else text


def _is_exact(value: Any, text: str) -> bool:
    return isinstance(value, dict | list) or json.dumps(value) == text

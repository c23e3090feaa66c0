"""The generic `flyte.connectors.AsyncConnector`: one instance for each spec.

It translates between Flyte's messages and the jobs of a JobClient, and decides nothing by itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from flyte.connectors import AsyncConnector, Resource, ResourceMeta
from flyteidl2.connector.connector_pb2 import (
    GetTaskLogsResponse,
    GetTaskLogsResponseHeader,
    TaskExecutionMetadata,
)
from flyteidl2.connector.connector_pb2 import Resource as ResourceMessage
from flyteidl2.core.execution_pb2 import TaskExecution, TaskLog
from flyteidl2.core.interface_pb2 import VariableMap
from flyteidl2.core.literals_pb2 import Literal
from flyteidl2.core.tasks_pb2 import TaskTemplate
from flyteidl2.logs.dataplane.payload_pb2 import LogLineOriginator
from google.protobuf.json_format import ParseDict

from yaml_connector._expressions.json_text import has_more_values, map_texts, parse_json
from yaml_connector._http.redact import redactor_for
from yaml_connector._http.thread import LARGE, in_thread_if
from yaml_connector._http.transport import Transport
from yaml_connector._http.turns import next_turn
from yaml_connector._jobs.call_log import tellable
from yaml_connector._jobs.client import JobClient
from yaml_connector._jobs.create import CreateValues
from yaml_connector._jobs.log_lines import LogLine
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.signing import UNSIGNED, Signer
from yaml_connector._jobs.status import Status, fit_info
from yaml_connector._loading.loader import LoadedSpec
from yaml_connector._spec.secrecy import sensitive_values
from yaml_connector._spec.task_values import check_inputs
from yaml_connector.errors import ConfigError, EvaluationError
from yaml_connector.flyte.container_files import FlyteContainerFiles
from yaml_connector.flyte.files import FlyteFiles
from yaml_connector.flyte.literals import LARGEST_OUTPUTS, TOO_LARGE, kind_of_literal, plain_input
from yaml_connector.flyte.output_values import OutputValue
from yaml_connector.flyte.task_context import TaskContext

_USER = LogLineOriginator.USER  # looked up once, not for every line: protobuf takes its time for it
_USUAL_OUTPUTS = 8 * 1024  # bytes of declared outputs that are remembered
_LARGEST_LINES = 1_000_000  # bytes of a message with lines of a log
_LONGEST_LINE = 64 * 1024  # characters, as the next two
_LONGEST_MESSAGE = 10_000
_LONGEST_LINK = 4_000  # one that is cut leads nowhere, so a longer one is left out
_LARGEST_CONFIG = 2**20  # characters
_MOST_CONFIG_VALUES = 50_000
CONFIG_KEY = "config"  # of a task template's `custom`: the config as JSON text, so that numbers stay exact


@dataclass
class JobResourceMeta(ResourceMeta):
    """The job as Flyte keeps it; only its connector can read it. `job`: what was read, if that has been done."""

    data: bytes
    job: JobMeta | None = None

    def encode(self) -> bytes:
        return self.data

    @classmethod
    def decode(cls, data: bytes) -> JobResourceMeta:
        return cls(data)


class YamlConnector(AsyncConnector[JobResourceMeta]):
    """Drives the jobs of one spec for Flyte."""

    metadata_type = JobResourceMeta

    def __init__(
        self,
        loaded: LoadedSpec,
        *,
        transport: Transport | None = None,
        environment: Mapping[str, str] | None = None,
        signer: Signer = UNSIGNED,
    ) -> None:
        spec = loaded.spec
        self.name = spec.title
        self.task_type_name = spec.task_type_name
        self.task_type_version = spec.task_type_version
        self.loaded = loaded
        self.jobs = JobClient(
            loaded,
            environment=environment,
            transport=transport,
            files=FlyteFiles(),
            container_files=FlyteContainerFiles(),
            signer=signer,
        )

    async def create(
        self,
        task_template: TaskTemplate,
        output_prefix: str,
        inputs: Mapping[str, Any] | None = None,
        task_execution_metadata: TaskExecutionMetadata | None = None,
        **kwargs: Any,
    ) -> JobResourceMeta:
        """Submit the job."""
        plain = {name: plain_input(value) for name, value in (inputs or {}).items()}
        return await self.submit(task_template, output_prefix, plain, task_execution_metadata, self.secrets_in(kwargs))

    async def submit(
        self,
        task_template: TaskTemplate,
        output_prefix: str,
        inputs: Mapping[str, Any],
        task_execution_metadata: TaskExecutionMetadata | None,
        secrets: Mapping[str, str],
        *,
        local: bool = False,
        large: bool = False,
    ) -> JobResourceMeta:
        """Submit the job of a Flyte task, or of a `local` run. `inputs` are as expressions see them. `large`: the task
        is looked at beside the event loop."""
        try:
            config = await in_thread_if(large, read_config, task_template)
            given = await in_thread_if(large, self._checked, inputs)
        except ConfigError as error:  # no retry mends it, so it is not raised
            known = sensitive_values(self.jobs.plan.secrets.sensitive, secrets)
            words = redactor_for(frozenset(known.values())).redact(str(error))
            failed = JobMeta(self.task_type_name, self.task_type_version, create_error=words)
            return JobResourceMeta(self.jobs.encode(failed))
        declared = task_template.interface.outputs
        values = CreateValues(
            inputs=given,
            config=config,
            task=TaskContext(task_template, output_prefix, task_execution_metadata),
            secrets=secrets,
            outputs=_kinds_of(declared) if self.loaded.spec.runs is None else _any_of(declared),
            local=local,
            large=large,
        )
        try:
            meta = await self.jobs.create(values)
        except EvaluationError as error:  # a value of the task that cannot be kept; no retry mends it
            meta = JobMeta(self.task_type_name, self.task_type_version, create_error=str(error))
        except Exception as error:  # Flyte logs the words of an error
            raise tellable("create of a job", error) from None
        return JobResourceMeta(await in_thread_if(large, self.jobs.encode, meta))

    def _checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the inputs by the types of the spec: whoever made the task's template may declare others. Raises
        ConfigError."""
        inputs, problems = check_inputs(self.loaded.spec, given)
        if problems:
            raise ConfigError(f"{'; '.join(problems.values())}; nothing was submitted")
        return inputs

    async def get(self, resource_meta: JobResourceMeta, **kwargs: Any) -> Resource:
        """Return how the job is doing. Never raises."""
        kept = resource_meta
        job = self.jobs.decode(kept.data) if kept.job is None and len(kept.data) <= LARGE else await self._job(kept)
        status = await self.jobs.get(job, self.secrets_in(kwargs) if kwargs else kwargs)
        return await resource_of(status) if status.outputs else resource(status, {})

    async def delete(self, resource_meta: JobResourceMeta, **kwargs: Any) -> None:
        """Cancel the job."""
        try:
            await self.jobs.delete(await self._job(resource_meta), self.secrets_in(kwargs))
        except Exception as error:  # as in `submit`
            raise tellable("delete of a job", error) from None

    async def get_logs(self, resource_meta: JobResourceMeta, **kwargs: Any) -> AsyncIterator[GetTaskLogsResponse]:
        """Read the log from a token on: bodies with lines, then a header with the next token."""
        job = await self._job(resource_meta)
        async for page in self.jobs.logs(job, kwargs.get("token", "")):
            if page.lines:
                for number, message in enumerate(_messages(page.lines)):
                    if number:
                        await next_turn()
                    yield message
            if page.last:
                yield GetTaskLogsResponse(header=GetTaskLogsResponseHeader(token=page.token or ""))

    async def _job(self, kept: JobResourceMeta) -> JobMeta:
        if kept.job is not None:
            return kept.job
        return await in_thread_if(len(kept.data) > LARGE, self.jobs.decode, kept.data)

    def secrets_in(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the secrets of the spec; whatever else a caller sends is not kept in memory."""
        return {name: given[name] for name in self.loaded.spec.secrets if name in given}


def _messages(lines: list[LogLine]) -> Iterator[GetTaskLogsResponse]:
    """Lines as Flyte takes them, long ones in pieces, as many in a message as gRPC takes; a level is in front of the
    text, since Flyte has no field for it."""
    response = GetTaskLogsResponse()
    add = response.body.lines.add
    size = 0
    for text, timestamp, level in lines:
        for piece in (text,) if len(text) <= _LONGEST_LINE else _pieces(text):
            message = f"[{level}] {piece}" if level else piece
            length = len(message) * 4 + 64  # bytes, at most
            size += length
            if size > _LARGEST_LINES and size > length:
                yield response
                response, size = GetTaskLogsResponse(), length
                add = response.body.lines.add
            added = add(message=message if message.isascii() else utf8(message), originator=_USER)
            if timestamp is not None:
                microseconds = round(timestamp * 1e6)
                moment = added.timestamp
                moment.seconds, moment.nanos = microseconds // 1_000_000, microseconds % 1_000_000 * 1000
    yield response


def _pieces(text: str) -> Iterator[str]:
    return (text[start : start + _LONGEST_LINE] for start in range(0, len(text), _LONGEST_LINE))


def read_config(template: TaskTemplate) -> dict[str, Any]:
    """Return the config that the task plugin put into the template. Raises ConfigError if that is not a config."""
    given = template.custom.fields.get(CONFIG_KEY)
    text = given.string_value if given is not None else ""
    check_config_size(text)
    try:
        config = parse_json(text) if text else {}
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise ConfigError("the task's config cannot be read; was it built with another version of yaml_connector?")
    return config


def check_config_size(text: str) -> None:
    """Raise ConfigError if a config, as JSON, is larger than the service reads."""
    if len(text) > _LARGEST_CONFIG:
        raise ConfigError(f"the task's config has {len(text)} characters, and {_LARGEST_CONFIG} are the most")
    if has_more_values(text, _MOST_CONFIG_VALUES):
        raise ConfigError(
            f"the task's config has more than {_MOST_CONFIG_VALUES} values: give the URI of a file instead"
        )


def _kinds_of(outputs: VariableMap) -> Mapping[str, str]:
    """Return the outputs that a task declares, with their types: read once for all its jobs."""
    data = outputs.SerializeToString()
    return _known_kinds(data) if len(data) <= _USUAL_OUTPUTS else _read_kinds(data)


def _any_of(outputs: VariableMap) -> Mapping[str, str]:
    """Return the first output that a container's task declares: whether there is one counts, whatever its type is."""
    return {entry.key: "any" for entry in outputs.variables[:1]}


@lru_cache(maxsize=256)
def _known_kinds(outputs: bytes) -> Mapping[str, str]:
    return _read_kinds(outputs)


def _read_kinds(outputs: bytes) -> Mapping[str, str]:
    variables = VariableMap.FromString(outputs).variables
    return {entry.key: str(kind_of_literal(entry.value.type)) for entry in variables}


_PHASES = dict(TaskExecution.Phase.items())


async def resource_of(status: Status) -> Resource:
    """Return a status as Flyte's Resource.

    An output that Flyte cannot hold (an int of more than 64 bits) fails the job: if get raised, it would only be asked
    again.
    """
    outputs = {name: OutputValue(kind, value) for name, (kind, value) in status.outputs.items()}
    size = 0
    for name, output in outputs.items():
        try:
            literal = await output.literal()
            size += await in_thread_if(output.is_large, literal.ByteSize)
            if size > LARGEST_OUTPUTS:
                raise ValueError(TOO_LARGE)
        except Exception as error:  # whatever Flyte's conversions raise
            message = f"the job succeeded, but the output {name!r} cannot be handed to Flyte: {str(error)[:300]}"
            status, outputs = replace(status, phase="FAILED", message=message), {}
            break
    return resource(status, outputs)


def resource(status: Status, outputs: dict[str, OutputValue]) -> Resource:
    """Return a status as Flyte's Resource, without looking at the outputs. What would be too large is cut, or left
    out."""
    links, info, message = status.links, status.info, status.message
    if message is not None and len(message) > _LONGEST_MESSAGE:
        message = f"{message[:_LONGEST_MESSAGE]}... ({len(message)} characters)"
    if links:
        links = [(name, uri) for name, uri in links if len(name) + len(uri) <= _LONGEST_LINK]
    return Resource(
        phase=_PHASES[status.phase],
        message=None if message is None else utf8(message),
        # Without the two flags the UI may hide a link until the task runs; Flyte's own log links have them, too.
        log_links=[TaskLog(name=utf8(name), uri=utf8(uri), ready=True, ShowWhilePending=True) for name, uri in links]
        if links
        else None,
        outputs=outputs or None,
        custom_info=map_texts(fit_info(info), utf8) if info else None,
    )


async def fill_message(message: ResourceMessage, resource: Resource) -> None:
    """Put into an empty message what Flyte makes of a Resource, without its own conversion of the outputs: they are
    literals already."""
    message.MergeFrom(ResourceMessage(phase=resource.phase, message=resource.message, log_links=resource.log_links))
    if resource.custom_info:
        ParseDict(resource.custom_info, message.custom_info)
    if resource.outputs:
        literals = {name: await output.literal() for name, output in resource.outputs.items()}
        large = any(output.is_large for output in resource.outputs.values())
        await in_thread_if(large, _add_outputs, message, literals)


def _add_outputs(message: ResourceMessage, literals: Mapping[str, Literal]) -> None:
    for name, literal in literals.items():
        message.outputs.literals.add(name=name).value.CopyFrom(literal)


def utf8(text: str) -> str:
    """Return a text that protobuf takes: JSON may hold half a character, UTF-8 may not."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()

"""The guard in front of Flyte's servicer, for `serve` and for `c0` alike.

Every call passes here before Flyte converts anything of it: a create that holds a pickle is refused, and a call whose
task type Flyte's registry cannot place is sent to the connector of its job. Errors of this package reach the caller as
words: Flyte's servicer sees to that for create, get and delete, but not for logs and metrics.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from functools import lru_cache, wraps
from time import perf_counter
from traceback import clear_frames
from typing import Any, NoReturn, TypeVar

import grpc
import grpc.aio
from flyteidl2.connector.connector_pb2 import (
    CreateTaskRequest,
    CreateTaskResponse,
    DeleteTaskRequest,
    DeleteTaskResponse,
    GetTaskRequest,
    GetTaskResponse,
)
from flyteidl2.core.types_pb2 import LiteralType
from google.protobuf.message import DecodeError, Message

from yaml_connector._expressions.budget import TurnOver
from yaml_connector._http.secret_forms import remember_forms
from yaml_connector._http.thread import LARGE, in_thread, in_thread_if
from yaml_connector._http.turns import calls
from yaml_connector._http.worker import keep_turns_short
from yaml_connector._jobs.call_log import tellable
from yaml_connector._jobs.secret_values import LARGEST_SECRET
from yaml_connector._spec.secrecy import one_value
from yaml_connector.errors import TransientError
from yaml_connector.flyte._internals import (
    AsyncConnectorService,
    CallMeter,
    ConnectorMetadataService,
    FlyteConnectorNotFound,
)
from yaml_connector.flyte.admission import RefusedInputError, check_request, plain_inputs
from yaml_connector.flyte.connector import JobResourceMeta, YamlConnector, fill_message
from yaml_connector.flyte.large_requests import REQUESTS, read_large
from yaml_connector.flyte.routing import JobRouter, UnknownSpecError, drop_inputs_of_container, prepare

logger = logging.getLogger("yaml_connector")

T = TypeVar("T")

_WITH_SECRETS = (CreateTaskRequest, GetTaskRequest, DeleteTaskRequest)
_LONGEST_WORDS = 2400  # bytes, of which each may be percent-encoded
_WORKER_MODULES = (
    "yaml_connector._jobs.client",
    "yaml_connector._expressions.counted_jsonpath",
    "jsonpath_ng.ext.parser",
)


def guard(service: type[AsyncConnectorService]) -> None:
    """Put the guard in front of all calls of a servicer class, once.

    `c0` has imported its class before it imports any module of ours, so the class itself is changed.
    """
    for name, message in REQUESTS.items():
        method = getattr(service, name)
        if not hasattr(method, "guarded"):
            setattr(service, name, _guarded(method, message))


def _guarded(method: Callable[..., Any], message: type[Message]) -> Callable[..., Any]:
    if inspect.isasyncgenfunction(method):

        @wraps(method)
        async def stream(self: Any, request: Any, context: Any) -> AsyncIterator[Any]:
            keep_turns_short(_WORKER_MODULES)
            try:
                if type(request) is not bytes:  # as below
                    request = request.SerializeToString()
                small = len(request) <= LARGE
                request = message.FromString(request) if small else (await read_large(message, request)).request
                prepare(request)
                async for part in method(self, request, context):
                    yield part
            except (Exception, TurnOver) as error:
                del request  # as in `_abort`
                await _abort(context, error)

        guarded: Callable[..., Any] = stream
    else:

        @wraps(method)
        async def call(self: Any, request: Any, context: Any) -> Any:
            keep_turns_short(_WORKER_MODULES)
            size, room = 0, None  # of a large request: its inputs' bytes, and what it takes until the call is over
            try:
                if type(request) is not bytes:  # gRPC has parsed it, where `hand_over_bytes` has no effect
                    request = request.SerializeToString()
                if large := len(request) > LARGE:
                    request, size, room = await read_large(message, request)
                else:
                    request = message.FromString(request)
                declared = None
                kind = type(request)
                if kind is CreateTaskRequest:
                    drop_inputs_of_container(request)
                    declared = await in_thread_if(large, check_request, request)
                connector = prepare(request)
                if large and kind in _WITH_SECRETS:
                    await in_thread(_remember_secrets, request)
                if declared is not None and isinstance(connector, YamlConnector):
                    meter = _meter(connector.task_type_name, "create")
                    meter.took_inputs(size if large else request.inputs.ByteSize())
                    answer = await _measured(meter, context, _create(request, connector, declared, large=large))
                elif kind is GetTaskRequest and isinstance(connector, YamlConnector | JobRouter):
                    answer = await _measured(_meter(connector.task_type_name, "get"), context, _get(request, connector))
                elif kind is DeleteTaskRequest and isinstance(connector, YamlConnector | JobRouter):
                    meter = _meter(connector.task_type_name, "delete")
                    answer = await _measured(meter, context, _delete(request, connector))
                else:
                    answer = await method(self, request, context)
            except (Exception, TurnOver) as error:
                del request, room  # as in `_abort`
                await _abort(context, error)
            if answer is None:  # Flyte's servicer has put an error into the context
                context.set_details(_cut(str(context.details())))
            return answer

        guarded = call
    guarded.guarded = True  # type: ignore[attr-defined]
    return guarded


def _remember_secrets(request: Any) -> None:
    secrets = request.connection.secrets.values()
    remember_forms(one_value(secret) for secret in secrets if len(secret) <= LARGEST_SECRET)


_meter = lru_cache(maxsize=4096)(CallMeter)  # for task types that are registered


async def _measured(meter: CallMeter, context: Any, work: Coroutine[Any, Any, T]) -> T | None:
    """Return what a call returns; None for an error, which is in the context then. Counts and times it."""
    began = calls.began = perf_counter()
    try:
        answer = await work
    except RefusedInputError:  # as before the conversion: the caller's mistake, and not the connector's failure
        raise
    except Exception as error:
        meter.failed(tellable("a call", error), context)
        return None
    finally:
        meter.took(perf_counter() - began)
    meter.succeeded()
    return answer


async def _create(
    request: CreateTaskRequest, connector: YamlConnector, declared: Mapping[str, LiteralType], *, large: bool
) -> CreateTaskResponse:
    """Do as Flyte's CreateTask does, but for its conversion of the inputs. `declared` are their types."""
    inputs = await in_thread_if(large, plain_inputs, request, declared)
    secrets = connector.secrets_in(request.connection.secrets)
    meta = await connector.submit(
        request.template, request.output_prefix, inputs, request.task_execution_metadata, secrets, large=large
    )
    return CreateTaskResponse(resource_meta=meta.encode())


async def _get(request: GetTaskRequest, connector: YamlConnector | JobRouter) -> GetTaskResponse:
    """Do as Flyte's GetTask does, but for its conversion of the outputs."""
    kept = JobResourceMeta(request.resource_meta)
    resource = await connector.get(kept, **request.connection.secrets)
    answer = GetTaskResponse()
    await fill_message(answer.resource, resource)
    return answer


async def _delete(request: DeleteTaskRequest, connector: YamlConnector | JobRouter) -> DeleteTaskResponse:
    """Do as Flyte's DeleteTask does."""
    await connector.delete(JobResourceMeta(request.resource_meta), **request.connection.secrets)
    return DeleteTaskResponse()


async def _abort(context: grpc.aio.ServicerContext, error: Exception | TurnOver) -> NoReturn:
    """End the call with the error's words. gRPC raises for that, and logs no traceback of it."""
    code, words = grpc.StatusCode.INTERNAL, str(error)
    if isinstance(error, FlyteConnectorNotFound | UnknownSpecError):
        code = grpc.StatusCode.NOT_FOUND
    elif isinstance(error, NotImplementedError):
        code, words = grpc.StatusCode.UNIMPLEMENTED, "the connector does not offer this call"
    elif isinstance(error, RefusedInputError | DecodeError):
        code = grpc.StatusCode.INVALID_ARGUMENT
    elif isinstance(error, TransientError):
        code = grpc.StatusCode.UNAVAILABLE
    else:
        words = str(tellable("a call", error))
    clear_frames(error.__traceback__)  # they may hold a large response, and gRPC keeps the error for a while
    await context.abort(code, _cut(words))
    raise error  # abort has raised already


def _cut(words: str) -> str:
    """Cut an error message to what its header holds: gRPC takes 8 KiB of them, and a message may quote its caller."""
    encoded = words.encode("utf-8", "replace")
    if len(encoded) <= _LONGEST_WORDS:
        return words
    return f"{encoded[:_LONGEST_WORDS].decode('utf-8', 'ignore')}... ({len(words)} characters)"


class GuardedConnectorService(AsyncConnectorService):
    """Flyte's servicer behind the guard."""


guard(GuardedConnectorService)


_get_connector = ConnectorMetadataService.GetConnector


@wraps(_get_connector)
async def _told_connector(self: Any, request: Any, context: Any) -> Any:
    """Answer with words to a name that Flyte's servicer does not know, and log no traceback of it."""
    try:
        return await _get_connector(self, request, context)
    except Exception as error:
        await _abort(context, error)


ConnectorMetadataService.GetConnector = _told_connector  # type: ignore[method-assign]  # `c0` has this class, too

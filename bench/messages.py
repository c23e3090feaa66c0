"""What Flyte sends for a task of the bench, as bytes, and what a right answer holds.

Requests are serialized before anything is timed, and answers are parsed after it: the client shares the machine's cores
with the service, so it should do little.
"""

from collections.abc import Mapping
from datetime import datetime

from flyteidl2.connector import connector_pb2 as pb
from flyteidl2.core import identifier_pb2, interface_pb2, literals_pb2, tasks_pb2, types_pb2
from flyteidl2.core.execution_pb2 import TaskExecution
from flyteidl2.task import common_pb2
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from bench import backend

PROJECT, DOMAIN, ORG, NAMESPACE = "flytesnacks", "development", "acme", "flytesnacks-development"
STRING = types_pb2.LiteralType(simple=types_pb2.STRING)

Reply = tuple[bytes, ...]
"""An answer as it came: one message, or those of a stream."""


class WrongAnswerError(Exception):
    """A reply that a working connector would not send; the message says what is wrong with it."""


def create_request(task_type: str, custom: Mapping[str, str | int], name: str, number: int) -> bytes:
    """A CreateTaskRequest for the attempt `number`, each of which is a task execution of its own."""
    run, action = f"r{number:08d}x7k2q", "a0"
    task = identifier_pb2.Identifier(
        resource_type=identifier_pb2.TASK, project=PROJECT, domain=DOMAIN, name="bench.job", version="v1", org=ORG
    )
    execution = identifier_pb2.WorkflowExecutionIdentifier(project=PROJECT, domain=DOMAIN, name=run, org=ORG)
    node = identifier_pb2.NodeExecutionIdentifier(node_id=action, execution_id=execution)
    settings = Struct()
    settings.update(custom)
    request = pb.CreateTaskRequest(
        inputs=common_pb2.Inputs(literals=[common_pb2.NamedLiteral(name="name", value=_string(name))]),
        template=tasks_pb2.TaskTemplate(
            id=task,
            type=task_type,
            interface=interface_pb2.TypedInterface(inputs=_variables("name"), outputs=_variables("result")),
            custom=settings,
        ),
        output_prefix=f"s3://bucket/{ORG}/{PROJECT}/{DOMAIN}/{run}/{action}",
        task_execution_metadata=pb.TaskExecutionMetadata(
            task_execution_id=identifier_pb2.TaskExecutionIdentifier(
                task_id=task, node_execution_id=node, retry_attempt=0
            ),
            namespace=NAMESPACE,
            labels={"run": run, "action": action, "attempt": "1", "task-name": "bench.job"},
            k8s_service_account="default",
            max_attempts=1,
        ),
    )
    return _bytes(request)


def get_request(task_type: str, resource_meta: bytes) -> bytes:
    """A GetTaskRequest."""
    prefix = f"s3://bucket/{ORG}/{PROJECT}/{DOMAIN}/r/a0"
    request = pb.GetTaskRequest(
        resource_meta=resource_meta, task_category=pb.TaskCategory(name=task_type), output_prefix=prefix
    )
    return _bytes(request)


def delete_request(task_type: str, resource_meta: bytes) -> bytes:
    """A DeleteTaskRequest."""
    return _bytes(pb.DeleteTaskRequest(resource_meta=resource_meta, task_category=pb.TaskCategory(name=task_type)))


def logs_request(task_type: str, resource_meta: bytes) -> bytes:
    """A GetTaskLogsRequest for the first page."""
    return _bytes(pb.GetTaskLogsRequest(resource_meta=resource_meta, task_category=pb.TaskCategory(name=task_type)))


def resource_meta(reply: Reply) -> bytes:
    """The job of a CreateTaskResponse."""
    meta: bytes = pb.CreateTaskResponse.FromString(reply[0]).resource_meta
    if not meta:
        raise WrongAnswerError("create gave no resource_meta")
    return meta


def check_create(reply: Reply) -> None:
    """There is a job."""
    resource_meta(reply)


def check_running(reply: Reply) -> None:
    """RUNNING, with the backend's own message: not a message that a connector writes when it has no response."""
    _check_resource(reply, TaskExecution.RUNNING)


def check_succeeded(reply: Reply) -> None:
    """SUCCEEDED, with the output from the second request."""
    resource = _check_resource(reply, TaskExecution.SUCCEEDED)
    outputs = {each.name: each.value.scalar.primitive.string_value for each in resource.outputs.literals}
    _expect("outputs", outputs, {"result": backend.RESULT})


def check_delete(reply: Reply) -> None:
    """The answer has no fields."""
    _expect("messages", len(reply), 1)


def check_logs(reply: Reply) -> None:
    """All lines with their times, and a token for the next page."""
    messages = [pb.GetTaskLogsResponse.FromString(part) for part in reply]
    lines = [line for message in messages for line in message.body.lines]
    _expect("log lines", [line.message for line in lines], [backend.LOG_TEXT] * 10)
    # To the millisecond: epoch seconds in a float are good for no more than microseconds.
    times = {round(line.timestamp.ToNanoseconds() / 1e6) for line in lines}
    _expect("log times", times, {round(datetime.fromisoformat(backend.LOG_TIME).timestamp() * 1e3)})
    if not any(message.header.token for message in messages):
        raise WrongAnswerError("logs gave no token for the next page")


def _check_resource(reply: Reply, phase: "TaskExecution.Phase") -> pb.Resource:
    resource = pb.GetTaskResponse.FromString(reply[0]).resource
    name = TaskExecution.Phase.Name
    _expect(f"phase (message {resource.message!r})", name(resource.phase), name(phase))
    _expect("message", resource.message, backend.DETAIL)
    return resource


def _expect(what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise WrongAnswerError(f"{what}: {got!r} instead of {wanted!r}")


def _string(text: str) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value=text)))


def _variables(*names: str) -> interface_pb2.VariableMap:
    return interface_pb2.VariableMap(
        variables=[interface_pb2.VariableEntry(key=name, value=interface_pb2.Variable(type=STRING)) for name in names]
    )


def _bytes(message: Message) -> bytes:
    return message.SerializeToString()

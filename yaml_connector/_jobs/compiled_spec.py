"""A compiled spec: every section as functions, and the values that later calls need. Finds specs by digest."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from yaml_connector._expressions.jinja import Reference
from yaml_connector._http.connection import Connection
from yaml_connector._http.transport import Transport
from yaml_connector._jobs.create import compile_create
from yaml_connector._jobs.logs import compile_logs
from yaml_connector._jobs.poll import compile_poll
from yaml_connector._jobs.secret_values import Secrets
from yaml_connector._jobs.snapshot import restore_spec, snapshot_spec
from yaml_connector._jobs.steps import compile_steps
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.fields import names_in

_DELETED = frozenset({"2xx", "404", "409", "410"})
_MOST_OLD_SPECS = 256


@dataclass(frozen=True)
class RetainedValues:
    """Which of the create call's values later calls refer to; None: all of them."""

    inputs: frozenset[str] | None
    config: frozenset[str] | None
    task: frozenset[str] | None

    def of(self, root: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that are kept with the job."""
        names = getattr(self, root)
        if names is None:
            return dict(values)
        return {name: values[name] for name in names if name in values}


class CompiledSpec:
    """A compiled spec. Raises ConfigError if the library for its auth is missing.

    `data` is the spec as written, `environment` the connector's. `kept` is the digest and the snapshot of a spec that
    comes from a job.
    """

    def __init__(
        self,
        spec: ConnectorSpec,
        data: Mapping[str, Any],
        environment: Mapping[str, str],
        transport: Transport | None = None,
        *,
        kept: tuple[str, str] | None = None,
    ) -> None:
        self.spec = spec
        self._data = data
        if kept is not None:
            self.kept = kept
        self.connection = Connection(spec.connection, environment, transport)
        self.secrets = Secrets(spec.secrets, environment)
        self.create = compile_create(spec.create, spec.task_type_name)
        self.poll = compile_poll(spec)
        self.delete = compile_steps(spec.delete, success=_DELETED) if spec.delete else None
        self.logs = compile_logs(spec.logs) if spec.logs else None

    # Only calls need these, and no start: they are made at the first call.

    @cached_property
    def kept(self) -> tuple[str, str]:
        """The digest and the snapshot: see `snapshot_spec`."""
        return snapshot_spec(self._data)

    @cached_property
    def digest(self) -> str:
        """The digest that distinguishes this spec from every other, and from itself before a change."""
        return self.kept[0]

    @cached_property
    def snapshot(self) -> str:
        """What is kept of the spec with each job."""
        return self.kept[1]

    @cached_property
    def retained(self) -> RetainedValues:
        """Which of the create call's values are kept with each job."""
        found: dict[str, set[str] | None] = {"inputs": set(), "config": set(), "task": set()}
        for name in self._later_names():
            names = found.get(str(name[0]))
            if names is None:
                continue
            if len(name) == 1:
                found[str(name[0])] = None  # the whole mapping, or a computed key of it
            else:
                names.add(str(name[1]))
        return RetainedValues(**{root: None if names is None else frozenset(names) for root, names in found.items()})

    @cached_property
    def only_reads(self) -> frozenset[str]:
        """The calls (`get` with `result`, `logs`) whose requests change nothing, whatever the values."""
        logs = (self.logs.source, self.logs.before) if self.logs else ()
        calls = {"get": (self.poll.get, self.poll.result), "logs": logs}
        return frozenset(
            name
            for name, plans in calls.items()
            if all(step.request.only_reads for plan in plans if plan is not None for step in plan.steps)
        )

    def _later_names(self) -> Iterator[Reference]:
        for steps in (self.poll.get, self.poll.result, self.delete, self.logs, self.poll.batcher, self.secrets):
            yield from steps.names if steps is not None else ()
        yield from self.poll.status.names()
        yield from self.poll.outputs.names()
        yield from names_in(self.spec.connection)


class CompiledSpecs:
    """The compiled specs of one task type: the loaded one, and older ones that jobs were created with."""

    def __init__(self, loaded: CompiledSpec, environment: Mapping[str, str], transport: Transport | None) -> None:
        self.loaded = loaded
        self._environment = environment
        self._transport = transport
        self._older: OrderedDict[str, CompiledSpec] = OrderedDict()

    def find(self, digest: str, snapshot: str) -> CompiledSpec:
        """Return the spec as it was when a job was created. Raises EvaluationError if the snapshot cannot be read."""
        if digest == self.loaded.digest or not snapshot:
            return self.loaded
        compiled = self._older.get(digest)
        if compiled is None:
            spec = restore_spec(snapshot)
            compiled = CompiledSpec(spec, {}, self._environment, self._transport, kept=(digest, snapshot))
            self._older[digest] = compiled
            while len(self._older) > _MOST_OLD_SPECS:
                self._older.popitem(last=False)
        self._older.move_to_end(digest)
        return compiled

    async def close(self) -> None:
        """Close the sockets of this event loop."""
        for compiled in (self.loaded, *self._older.values()):
            await compiled.connection.transport.close()

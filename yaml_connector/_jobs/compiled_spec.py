"""A compiled spec: every section as functions, and the values that later calls need. Finds the spec of a job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from yaml_connector._bounded_cache import BoundedCache
from yaml_connector._expressions.compile import if_given, names_of
from yaml_connector._expressions.jinja import Reference
from yaml_connector._http.connection import Connection
from yaml_connector._http.transport import Transport
from yaml_connector._jobs.container import OUTPUT_PREFIX
from yaml_connector._jobs.create_plan import compile_create
from yaml_connector._jobs.delete import compile_delete
from yaml_connector._jobs.logs import compile_logs
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.poll import compile_poll
from yaml_connector._jobs.secret_values import Secrets
from yaml_connector._jobs.signing import KEY_VARIABLE
from yaml_connector._jobs.snapshot import digest_of, restore_spec, snapshot_spec
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.fields import names_in
from yaml_connector._spec.task_values import recheck_config
from yaml_connector.errors import EvaluationError

_KEY: frozenset[Reference] = frozenset({("task", "key")})  # messages name it
_MOST_OLD_SPECS = 64
_MOST_SNAPSHOTS = 2**20  # characters of all of them


@dataclass(frozen=True)
class RetainedValues:
    """Which of the create call's values later calls refer to; None: all of them."""

    inputs: frozenset[str] | None
    config: frozenset[str] | None
    task: frozenset[str] | None

    @classmethod
    def named(cls, references: Iterable[Reference]) -> RetainedValues:
        """Return the values that these references name."""
        found: dict[str, set[str] | None] = {"inputs": set(), "config": set(), "task": set()}
        for name in references:
            names = found.get(str(name[0]))
            if names is None:
                continue
            if len(name) == 1:
                found[str(name[0])] = None  # the whole mapping, or a computed key of it
            else:
                names.add(str(name[1]))
        return cls(**{root: None if names is None else frozenset(names) for root, names in found.items()})

    def of(self, root: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that are kept with the job."""
        names = getattr(self, root)
        if names is None:
            return dict(values)
        if not names:
            return {}
        return {name: values[name] for name in names if name in values}

    def keep(self, meta: JobMeta, **given: Mapping[str, Any]) -> None:
        """Give a job what it keeps of its `inputs`, `config` or `task`, and the names of what these do not have."""
        for root, values in given.items():
            setattr(meta, root, self.of(root, values))
            meta.asked += self.absent(root, values)

    def absent(self, root: str, values: Mapping[str, Any]) -> list[str]:
        """Return what is referred to and not in these values; the root alone if that is all of them."""
        names = getattr(self, root)
        return [root] if names is None else [f"{root}.{name}" for name in names if name not in values]


class CompiledSpec:
    """A compiled spec. Raises ConfigError if the library for its auth is missing.

    `data` is the spec as written, `environment` the connector's. An older spec has the connection and the secrets of
    the `loaded` one.
    """

    def __init__(
        self,
        spec: ConnectorSpec,
        data: Mapping[str, Any],
        environment: Mapping[str, str],
        transport: Transport | None = None,
        *,
        loaded: CompiledSpec | None = None,
    ) -> None:
        self.spec = spec
        self.data = data
        self._is_older = loaded is not None
        self.connection: Connection = (
            loaded.connection if loaded else Connection(spec.connection, environment, transport)
        )
        self.secrets: Secrets = loaded.secrets if loaded else Secrets(spec, environment)
        self.poll = compile_poll(spec)
        self.create = compile_create(spec.create, spec.task_type_name, self.poll.settings.not_found_grace)
        self.delete = if_given(compile_delete, spec.delete)
        auth = self.connection.auth
        self.logs = compile_logs(spec.logs, whole=auth is not None and auth.reads_body) if spec.logs else None

    # Only calls need these, and no start: they are made at the first call.

    @cached_property
    def digest(self) -> str:
        """The digest that distinguishes this spec from every other, and from itself before a change."""
        return digest_of(self.data)

    @cached_property
    def snapshot(self) -> str:
        """What is kept of the spec with each job, if it is signed."""
        return snapshot_spec(self.data)

    @cached_property
    def retained(self) -> RetainedValues:
        """Which of the create call's values are kept with each job."""
        return RetainedValues.named(self._later_names())

    @cached_property
    def submitting(self) -> RetainedValues:
        """Which of these values are kept with a job that is not submitted yet, for its create."""
        return RetainedValues.named(self.create.names | self.secrets.names | set(names_in(self.spec.connection)) | _KEY)

    @cached_property
    def coalescing(self) -> frozenset[str]:
        """The calls (`get` with `result`, `logs`) that may share requests with others: all their requests change
        nothing, whatever the values. A job is read by one get at a time, but by any number of readers of its log."""
        logs = (self.logs.source, self.logs.before) if self.logs else ()
        calls = {
            name: [step.request for plan in plans if plan is not None for step in plan.steps]
            for name, plans in {"get": (self.poll.get, self.poll.result), "logs": logs}.items()
        }
        shared = {"logs"}
        if any(all(name[0] != "job" for name in request.names) for request in calls["get"]):
            shared.add("get")
        return frozenset(name for name in shared if all(request.only_reads for request in calls[name]))

    def config_of(self, meta: JobMeta) -> dict[str, Any]:
        """Return the config that a job keeps, checked as create checks it.

        Raises ConfigError if a value is not allowed, EvaluationError if the spec has changed and needs a value that
        was not kept.
        """
        if meta.digest != self.digest:
            self._check_kept(meta)
        names = self.retained.config
        return recheck_config(self.spec, meta.config, self.spec.config if names is None else names)

    def _check_kept(self, meta: JobMeta) -> None:
        """Raise EvaluationError if this spec, with which the job was not created, needs a value that was not kept."""
        missing = []
        for root in ("inputs", "config", "task"):
            if root not in meta.asked:
                needed = self.retained.absent(root, getattr(meta, root))
                missing += [name for name in needed if name not in meta.asked and not self._has_default(name)]
        if not self._is_older:  # an older one was created with what it needs of the job
            saved = {str(name[1]) for name in self._later_names() if name[0] == "job" and len(name) > 1}
            missing += [f"job.{name}" for name in saved if name not in meta.job]
        if missing:
            advice = "keep what it needs until the job is over"
            if not meta.verified:
                advice += f", or set {KEY_VARIABLE}: then jobs keep the spec that they were created with"
            raise EvaluationError(
                f"the spec has changed since the job was created, and now uses {', '.join(sorted(missing))}, which was "
                f"not kept with the job; {advice}"
            )

    def _has_default(self, name: str) -> bool:
        root, _, field = name.partition(".")
        return root == "config" and field in self.spec.config and not self.spec.config[field].required

    def _later_names(self) -> frozenset[Reference]:
        poll = self.poll
        read = (poll.get, poll.result, poll.batcher, poll.timeout, poll.status, poll.outputs)
        names = names_of(*read, self.delete, self.logs, self.secrets).union(names_in(self.spec.connection))
        return names | {OUTPUT_PREFIX} if poll.runs_container else names


class CompiledSpecs:
    """The compiled specs of one task type: the loaded one, and older ones that jobs were created with."""

    def __init__(self, loaded: CompiledSpec, environment: Mapping[str, str]) -> None:
        self.loaded = loaded
        self._environment = environment
        self._older: BoundedCache[str, CompiledSpec | EvaluationError] = BoundedCache(
            _MOST_OLD_SPECS, heaviest=_MOST_SNAPSHOTS, weight=lambda snapshot, spec: len(snapshot)
        )

    def find(self, meta: JobMeta) -> CompiledSpec:
        """Return the spec that a job is followed by: what was kept with it if that is ours, else the loaded one.

        Raises EvaluationError if the kept one cannot be used any more.
        """
        snapshot = meta.snapshot
        if not meta.verified or meta.digest == self.loaded.digest or not snapshot or snapshot == self.loaded.snapshot:
            return self.loaded
        found = self._older.get(snapshot) or self._older.put(snapshot, self._restore(snapshot))
        if isinstance(found, EvaluationError):
            raise EvaluationError(str(found))
        return found

    def _restore(self, snapshot: str) -> CompiledSpec | EvaluationError:
        try:
            spec = restore_spec(snapshot, self.loaded.data)
        except EvaluationError as error:
            return error
        return CompiledSpec(spec, {}, self._environment, loaded=self.loaded)

    async def close(self) -> None:
        """Close the sockets of this event loop."""
        await self.loaded.connection.transport.close()

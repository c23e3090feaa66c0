"""Opens the contexts of a job's calls."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from yaml_connector._expressions.scope import Scope
from yaml_connector._http.context import CallContext
from yaml_connector._http.events import EventFanOut, Events
from yaml_connector._http.files import Files
from yaml_connector._jobs import metrics
from yaml_connector._jobs.cache import JobState
from yaml_connector._jobs.compiled_spec import CompiledSpec
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.placeholders import restore_secrets


class CallContexts:
    """Opens a context for each call of the jobs of one task type."""

    def __init__(self, task_type: str, files: Files, events: Events | None) -> None:
        self._task_type = task_type
        self._files = files
        self._events = events

    def later(
        self,
        call: str,
        plan: CompiledSpec,
        meta: JobMeta,
        state: JobState,
        given: Mapping[str, str],
        *,
        deadline: float | None = None,
        max_attempts: int | None = None,
    ) -> tuple[CallContext, Scope]:
        """Return the context of a later call of a job, and what its expressions see. `given` are the task's secrets.

        Raises EvaluationError or ConfigError for values that are missing or not allowed.
        """
        unchanged = meta.digest == plan.digest and not meta.config
        config = {} if unchanged else plan.config_of(meta)
        job = meta.job
        if state.is_cancelled:
            job["cancelled"] = True
        scope = Scope(inputs=meta.inputs, config=config, task=meta.task, job=job, steps={})
        if call == "get":
            scope.cursor = state.cursor
        secrets = scope.secrets = plan.secrets.values(given, scope) if plan.spec.secrets else {}
        if meta.holders:
            scope.job = restore_secrets(meta.holders, job, secrets, is_ours=meta.verified)
        context = self.open(call, plan, config, secrets, meta.name, deadline, max_attempts)
        if meta.holders:
            context.withholds = not meta.verified
        scope.base_url = context.endpoint.base_url
        return context, scope

    def open(
        self,
        call: str,
        plan: CompiledSpec,
        config: Mapping[str, Any],
        secrets: Mapping[str, str | None],
        execution: str,
        deadline: float | None = None,
        max_attempts: int | None = None,
    ) -> CallContext:
        """Return the context of a call with these values."""
        events: Events = metrics.CallMetrics(self._task_type, call)
        if self._events is not None:
            self._events.section(call)
            events = EventFanOut(events, self._events)
        return CallContext(
            plan.connection,
            config=config,
            secrets=secrets,
            sensitive=plan.secrets.sensitive,
            files=self._files,
            events=events,
            about=f"call={call} execution={execution}" if metrics.logger.isEnabledFor(logging.DEBUG) else "",
            coalesces=call in plan.coalescing,
            deadline=deadline,
            max_attempts=max_attempts,
        )

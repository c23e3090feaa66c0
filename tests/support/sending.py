"""One request, built or sent as the connector does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.support.fake_api import BASE, FakeApi, run
from tests.support.scopes import AnyScope
from yaml_connector._clock import Clock
from yaml_connector._http import client
from yaml_connector._http.connection import Connection
from yaml_connector._http.context import CallContext
from yaml_connector._http.messages import HttpRequest, Response
from yaml_connector._http.request_template import compile_request
from yaml_connector._http.transport import Transport
from yaml_connector._jobs.steps import compile_step
from yaml_connector._spec.connection import Connection as ConnectionSpec
from yaml_connector._spec.requests import Request, Step
from yaml_connector.testing.clock import FakeClock


def built(request: Any, *, base_url: str = BASE, **scope: Any) -> HttpRequest:
    """The request that a spec's `request` makes of these values."""
    return compile_request(Request.model_validate(request)).build(AnyScope(**scope), base_url)


class Sender:
    """A connection to an API, whose calls are made one by one by a clock of its own."""

    def __init__(
        self,
        api: FakeApi | Transport,
        *,
        secrets: Mapping[str, str | None] | None = None,
        config: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        **connection: Any,
    ) -> None:
        self.api = api
        self.secrets = secrets or {}
        self.config = config or {}
        self.clock = clock or FakeClock()
        spec = ConnectionSpec.model_validate({"base_url": BASE, **connection})
        self.connection = Connection(spec, environment or {}, api.transport if isinstance(api, FakeApi) else api)

    def session(self, **given: Any) -> CallContext:
        values = {"secrets": self.secrets, "config": self.config, **given}
        return CallContext(self.connection, **values)

    async def send_now(self, request: Any = "GET /", step: Mapping[str, Any] | None = None, **given: Any) -> Response:
        """Send a step's request within a running loop."""
        session = self.session(**given)
        plan = compile_step(Step.model_validate({"request": request, **(step or {})}))
        scope = session.scope.with_names(steps={})
        return await client.send(session, plan.request, scope, plan.criteria)

    def send(self, request: Any = "GET /", step: Mapping[str, Any] | None = None, **given: Any) -> Response:
        """Send a step's request, in a loop of its own; `step` are the fields beside the request."""

        async def call() -> Response:
            return await self.send_now(request, step, **given)

        return run(call(), self.clock)

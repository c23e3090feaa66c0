"""`yaml-connector serve`, also as `python -m yaml_connector.flyte.serve`: the connector service.

Only click is imported here, so that the command line does not wait for Flyte; `server.py` does the work.
"""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass

import click


@dataclass(frozen=True)
class ServeOptions:
    """How to serve: the command's options."""

    specs: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    http: int | None = None
    watch: bool = False
    tls_cert: str | None = None
    tls_key: str | None = None


_PORT = click.IntRange(0, 65535)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})  # also without the group
@click.option("--specs", metavar="PATH", help="A spec or a folder.  [default: YAML_CONNECTOR_PATH or connectors.d]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen. There is no authentication.")
@click.option("--port", type=_PORT, default=8000, show_default=True, help="The gRPC service's port; 0: any free one.")
@click.option(
    "--http", type=_PORT, metavar="PORT", help="Serve /healthz, /metrics and /status on this port; 0: any free one."
)
@click.option("--watch", is_flag=True, help="Reload the specs when a file changes.")
@click.option("--tls-cert", metavar="FILE", help="The certificate chain (PEM), for TLS.")
@click.option("--tls-key", metavar="FILE", help="The private key of the certificate (PEM, without a password).")
def serve(**options: object) -> None:
    """Serve the specs to Flyte: the gRPC service of connectors.

    It prints one line when it is ready, with its address and the task types. SIGTERM and Ctrl-C end it: calls under
    way may finish within 10 s, new ones are refused. SIGHUP reloads the specs; if one is wrong, its problems are
    printed, and the specs that were loaded before stay in service.

    \b
    Example:
      yaml-connector serve --specs connectors.d --port 8000 --http 9092 --watch
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what goes wrong is said by this command
    chosen = ServeOptions(**options)  # type: ignore[arg-type]  # click has converted them
    if (chosen.tls_cert is None) != (chosen.tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key go together")
    import asyncio

    import uvloop  # somewhat less CPU for each call than asyncio's own loop

    gc.disable()  # what is imported stays: looking for garbage in it takes a seventh of the time
    try:
        from yaml_connector.flyte.served_specs import SpecsRejectedError
        from yaml_connector.flyte.server import ConnectorServer, StartError
    finally:
        gc.enable()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(ConnectorServer(chosen).run())
    except SpecsRejectedError as error:
        raise click.ClickException(f"{error}: the connector service does not start") from None
    except StartError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    serve(prog_name="python -m yaml_connector.flyte.serve")

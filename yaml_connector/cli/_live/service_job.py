"""`run --service`: the job of a running connector service, with what is shown of it masked."""

from __future__ import annotations

from yaml_connector._jobs.create import CreateValues
from yaml_connector._loading.loader import LoadedSpec
from yaml_connector.cli._live.recorder import Recorder
from yaml_connector.flyte.service_jobs import ServiceJobClient


class RecordedServiceJob(Recorder, ServiceJobClient):
    """A job of the service at an address. Raises CallError if none answers there within `patience` seconds."""

    identified_by = "execution_id"  # the service makes its own task.key of it

    def __init__(
        self, address: str, loaded: LoadedSpec, values: CreateValues, *, patience: float | None = None
    ) -> None:
        Recorder.__init__(self, loaded.spec, values.secrets)
        ServiceJobClient.__init__(self, address, loaded, values, patience=patience)

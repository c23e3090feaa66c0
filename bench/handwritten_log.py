"""A connector as one writes it by hand for a job whose log is one big text, for ``c0 --modules bench.handwritten_log``:
the text is read piece by piece, split into lines, and handed on in pages."""

from collections.abc import AsyncIterator
from typing import Any

from flyte.connectors import ConnectorRegistry
from flyteidl2.connector.connector_pb2 import GetTaskLogsResponse, GetTaskLogsResponseBody
from flyteidl2.logs.dataplane.payload_pb2 import LogLine, LogLineOriginator

from bench.handwritten import JobMeta, SharedAiohttp

PAGE = 1000


class TextLog(SharedAiohttp):
    """Its status is JSON, its log plain text."""

    name = "Bench: shared aiohttp session, text log"
    task_type_name = "bench_text_log"

    async def get_logs(self, resource_meta: JobMeta, **kwargs: Any) -> AsyncIterator[GetTaskLogsResponse]:
        """The whole log, in pages."""
        lines: list[LogLine] = []
        rest = b""
        async with (
            self.client() as client,
            client.get(f"/jobs/{resource_meta.job_id}/logs", timeout=None) as response,
        ):
            response.raise_for_status()
            async for chunk in response.content.iter_any():
                *complete, rest = (rest + chunk).split(b"\n")
                for line in complete:
                    lines.append(LogLine(message=line.decode("utf-8", "replace"), originator=LogLineOriginator.USER))
                    if len(lines) == PAGE:
                        yield GetTaskLogsResponse(body=GetTaskLogsResponseBody(lines=lines))
                        lines = []
        if rest:
            lines.append(LogLine(message=rest.decode("utf-8", "replace"), originator=LogLineOriginator.USER))
        if lines:
            yield GetTaskLogsResponse(body=GetTaskLogsResponseBody(lines=lines))


ConnectorRegistry.register(TextLog())

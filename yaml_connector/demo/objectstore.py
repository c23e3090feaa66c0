"""An object store in memory, for the tour: what Flyte's storage layer asks of S3, and no more.

`python -m yaml_connector.demo.objectstore` takes a free port of this machine. Every bucket exists; nobody is asked for
credentials; everything is lost at the end.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import signal

from aiohttp import web

_LARGEST = 256 * 1024 * 1024  # bytes of one request


class ObjectStore:
    """The objects by bucket and key, and the uploads in parts that are open."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._uploads: dict[str, dict[int, bytes]] = {}

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(client_max_size=_LARGEST)
        app.router.add_put("/{key:.+}", self._put)
        app.router.add_get("/{key:.+}", self._get)  # HEAD, too
        app.router.add_post("/{key:.+}", self._post)
        app.router.add_delete("/{key:.+}", self._delete)
        return app

    async def _put(self, request: web.Request) -> web.Response:
        content = await request.read()
        upload = request.query.get("uploadId")
        if upload is None:
            self._objects[request.match_info["key"]] = content
        elif upload in self._uploads:
            self._uploads[upload][int(request.query["partNumber"])] = content
        else:
            raise web.HTTPNotFound
        return web.Response(headers={"ETag": _tag(content)})

    async def _get(self, request: web.Request) -> web.Response:
        content = self._objects.get(request.match_info["key"])
        if content is None:
            raise web.HTTPNotFound(text="<Error><Code>NoSuchKey</Code></Error>", content_type="application/xml")
        headers = {"ETag": _tag(content), "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT", "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        if asked is None:
            headers["Content-Length"] = str(len(content))  # aiohttp leaves it out of a HEAD of nothing
            return web.Response(body=content, headers=headers)
        first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        return web.Response(status=206, body=content[first : last + 1], headers=headers)

    async def _post(self, request: web.Request) -> web.Response:
        await request.read()
        key, upload = request.match_info["key"], request.query.get("uploadId")
        if upload is None:
            upload = f"upload-{len(self._uploads) + 1}"
            self._uploads[upload] = {}
            text = f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
        else:
            parts = self._uploads[upload]
            content = self._objects[key] = b"".join(parts[number] for number in sorted(parts))
            text = f"<CompleteMultipartUploadResult><ETag>{_tag(content)}</ETag></CompleteMultipartUploadResult>"
        return web.Response(text=text, content_type="application/xml")

    async def _delete(self, request: web.Request) -> web.Response:
        self._objects.pop(request.match_info["key"], None)
        return web.Response(status=204)


def _tag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


async def serve() -> None:
    """Serve until SIGTERM, and say on stdout where."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(ObjectStore().application(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(f"object store listening on http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve())

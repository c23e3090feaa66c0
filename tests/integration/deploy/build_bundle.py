"""Builds what a deployment would send, with Flyte's own code: `python build_bundle.py MODULE VARIABLE OUT` in the root
folder of a project, where `flyte deploy` would be run too, or `build` in this process."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import flyte
from flyte._code_bundle._includes import collect_env_include_files
from flyte._code_bundle.bundle import build_code_bundle
from flyte.app import AppEnvironment
from flyte.app._runtime import translate_app_env_to_idl
from flyte.models import SerializationContext


async def build(environment: flyte.Environment, root: Path, out: Path) -> dict[str, Any]:
    """The bundle's path and files, and for an app the container's command, arguments and environment, its secrets,
    image and replicas: as JSON can hold them."""
    bundle = await build_code_bundle(
        root,
        dryrun=True,
        copy_bundle_to=out,
        copy_style="loaded_modules",
        additional_files=collect_env_include_files([environment, *environment.depends_on]),
    )
    cloudpickle.dumps(environment)  # a deployment's version is computed from that
    built: dict[str, Any] = {
        "tgz": bundle.tgz,
        "files": sorted(str(Path(file).relative_to(root)) for file in bundle.files or []),
        "include": list(environment.include),
    }
    if isinstance(environment, AppEnvironment):
        context = SerializationContext("v1", project="p", domain="d", org="o", code_bundle=bundle, root_dir=root)
        app = (await translate_app_env_to_idl.aio(environment, context)).spec
        built |= {
            "command": list(app.container.command),
            "args": list(app.container.args),
            "env": {pair.key: pair.value for pair in app.container.env},
            "secrets": {secret.key: secret.env_var for secret in app.security_context.secrets},
            "replicas": [app.autoscaling.replicas.min, app.autoscaling.replicas.max],
            "packages": [
                package
                for layer in getattr(environment.image, "_layers", ())
                for package in getattr(layer, "packages", None) or ()
            ],
        }
    return built


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    flyte.init(root_dir=Path.cwd())
    environment = getattr(importlib.import_module(sys.argv[1]), sys.argv[2])
    print("\n" + json.dumps(asyncio.run(build(environment, Path.cwd(), Path(sys.argv[3])))))

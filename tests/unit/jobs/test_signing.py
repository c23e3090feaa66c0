"""The keys that sign what is kept of a job, as the environment gives them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from yaml_connector._jobs.signing import signer_from
from yaml_connector.errors import ConfigError

KEY = "the-key-of-this-service-0123456789"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"YAML_CONNECTOR_SIGNING_KEY": "short"}, "key 1 of 1 has 5 bytes, at least 32 are needed; make one with"),
        ({"YAML_CONNECTOR_SIGNING_KEY": f"{KEY},x"}, "key 2 of 2 has 1 bytes"),
        ({"YAML_CONNECTOR_SIGNING_KEY": " , "}, "YAML_CONNECTOR_SIGNING_KEY holds no key"),
        ({"YAML_CONNECTOR_SIGNING_KEY_FILE": "/nowhere/key"}, "/nowhere/key cannot be read: No such file"),
        ({"YAML_CONNECTOR_SIGNING_KEY_FILE": sys.executable}, "cannot be read: it is not text"),
        ({"YAML_CONNECTOR_SIGNING_KEY_FILE": "/dev/null"}, "YAML_CONNECTOR_SIGNING_KEY_FILE holds no key"),
        ({"YAML_CONNECTOR_SIGNING_KEY": KEY, "YAML_CONNECTOR_SIGNING_KEY_FILE": "k"}, "are both set: set one of them"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_with_words_and_is_not_in_them(
    variables: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        signer_from(variables)
    assert words in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.slow
def test_what_encryption_needs_is_there_from_the_start() -> None:
    """A call may find no file descriptor free, and then import nothing."""
    code = (
        "import os, sys; from yaml_connector._jobs.signing import signer_from; signer = signer_from(os.environ); "
        "before = set(sys.modules); signer.unseal(signer.seal(b'x')); sys.exit(len(set(sys.modules) - before))"
    )
    variables = {**os.environ, "YAML_CONNECTOR_SIGNING_KEY": KEY}
    assert subprocess.run([sys.executable, "-c", code], env=variables, check=False).returncode == 0

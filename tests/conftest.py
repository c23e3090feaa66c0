"""What all tests share: hypothesis without a deadline (the machine may be busy), the same examples on every run."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("suite", deadline=None, derandomize=True, max_examples=60, print_blob=True)
settings.register_profile("thorough", deadline=None, max_examples=2000)
settings.load_profile("suite")

"""Contract tests (section 10): a spec, driven as Flyte would drive it, against recorded answers."""

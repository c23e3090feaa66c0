"""The demo backend: a small job service that runs real commands, to try connectors against."""

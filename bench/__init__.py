"""What the generic connector costs: benches with real processes, ``python -m bench NAME`` (``make bench-NAME``).

==============  ====================================================  ======================
`calls`         one call, beside hand-written connectors              ``make bench``
`batch`         a poll when many share a request
`jobs`          many running jobs behind a backend with a limit
`specs`         many specs: loading them, starting with them
`big`           a big status document, a big log
`neighbours`    calls beside a backend that hangs and a slow one
`start`         starting: commands, the service
==============  ====================================================  ======================

``python -m bench.calls_of_get`` does not measure time: it counts the package's functions and files in one warm get.

Each bench takes ``--quick`` and ``--json FILE``. Its module has `ABOUT`, `COLUMNS`, `add_options`, `complete` and
`measure`, which returns the rows of its table. They share:

==================  ==========================================================================
`command.py`        the table, the JSON, stopping in order
`services.py`       starts and stops the processes, reads their CPU time and memory
`client.py`         sends calls, so many at once, and measures their times
`messages.py`       the requests that Flyte sends, and checks of the replies
`backend.py`        the job services
`handwritten.py`    the connectors to compare with
`spec_files.py`     variants of the spec in `spec/`
==================  ==========================================================================
"""

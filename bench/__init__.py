"""What the generic connector costs: benches with real processes, each a command of its own.

==================  ================================  ==================================================
`make bench`        ``python -m bench``               one call (`measure.py`, `report.py`)
`bench-batch`       ``python -m bench.batch``         a poll when many share a request
`bench-jobs`        ``python -m bench.jobs``          many running jobs behind a backend with a limit
`bench-specs`       ``python -m bench.specs``         many specs: loading them, starting with them
`bench-big`         ``python -m bench.big``           a big status document, a big log
`bench-neighbours`  ``python -m bench.neighbours``    calls beside a backend that hangs and a slow one
`bench-start`       ``python -m bench.start``         starting: commands, the service
`bench-processes`   ``python -m bench.processes``     more than one process
==================  ================================  ==================================================

Each takes ``--quick`` and ``--json FILE``. What they share:

=====================  ==========================================================================
`command.py`           the command line, the table, the JSON
`services.py`          starts and stops the processes, reads their CPU time and memory
`connected.py`         a service that is up, with a client; the polls of many jobs
`starting.py`          how long a start takes
`client.py`            sends calls, so many at once, and takes their times
`messages.py`          the requests that Flyte sends, and what a right answer to them holds
`backend.py`           the job service: a minimal HTTP server in a process of its own
`limited.py`           the same with a limit, for many jobs; `big_backend.py` with big answers
`handwritten.py`       the connectors to compare with, written as one would by hand
`handwritten_log.py`   one more, which reads a big log
`spec/`                the spec of the same job service; `spec_files.py` writes variants of it
=====================  ==========================================================================

``python -m bench`` in particular:

    client (this process) --gRPC--> c0 with one connector --HTTP--> backend

Every number is the median over the rounds. Within a round the connectors are measured one right after the other for
each operation, and a ratio compares two samples of the same round: what else the machine does hits both alike. A whole
run takes about seven minutes. Measured with five equal connectors on two busy cores: nine of ten ratios lie within 4 %
of 1, the worst 7 % off; of a quick run's, nine of ten within 16 %, the worst 35 % off.
"""

"""What a connector call costs: the generic connector beside hand-written ones, in one run, with real processes.

How to run, from the repository's root: ``make bench``, or ``python -m bench [--quick] [--json FILE]``.

    client (this process) --gRPC--> c0 with one connector --HTTP--> backend

=================  ==============================================================================
`backend.py`       the job service: a minimal HTTP server in a process of its own
`handwritten.py`   the connectors to compare with, written as one would by hand
`spec/`            the spec of the same job service, for the generic connector
`messages.py`      the requests that Flyte sends, and what a right answer to them holds
`services.py`      starts and stops the processes, reads their CPU time
`client.py`        sends calls, so many at once, and takes their times
`measure.py`       the order of the measurements
`report.py`        medians, ratios, the table, the JSON
=================  ==============================================================================

Every number is the median over the rounds. Within a round the connectors are measured one right after the other for
each operation, and a ratio compares two samples of the same round: what else the machine does hits both alike. A whole
run takes about seven minutes. Measured with five equal connectors on two busy cores: nine of ten ratios lie within 4 %
of 1, the worst 7 % off; of a quick run's, nine of ten within 16 %, the worst 35 % off.
"""

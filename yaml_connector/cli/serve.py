"""`yaml-connector serve`: the command is defined where it is run without the command line, too."""

from yaml_connector.flyte.serve import serve as serve

"""The connector service of `connectors.d`. Deploy it with: flyte deploy app.py connector"""

from yaml_connector import YamlConnectorEnvironment

connector = YamlConnectorEnvironment(name="yaml-connector", specs="connectors.d")

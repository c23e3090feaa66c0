"""From files to checked specs: YAML with positions, the models, then the checks of the whole spec."""

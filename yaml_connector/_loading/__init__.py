"""From files to checked specs: YAML with positions, the models, then what only the whole spec can tell."""

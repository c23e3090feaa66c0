"""The task side: the plugin class that is made from a spec, and its local run."""

"""The command `yaml-connector`: a command is NAME.py, or NAME/command.py when it has parts; `main` lists them."""

"""The build backend of pyproject.toml: installers show this line in place of building a package."""

raise SystemExit("Live Markets is not an installable package: run it from its checkout with `make run`.")

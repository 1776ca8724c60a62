"""Run the command line with `python -m townlet_cli`."""

from townlet_cli.main import run

run()

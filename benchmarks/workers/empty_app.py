"""The least that Typer can be: what every command line made with it pays for."""

import typer

app = typer.Typer(add_completion=False)


@app.command()
def do_nothing() -> None:
    """Do nothing."""


if __name__ == "__main__":
    app()

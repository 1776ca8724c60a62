"""Renew the generated parts of the documentation, or name the pages that are out of date (--check)."""

import sys
from pathlib import Path

from cli_reference import with_commands
from feature_reference import with_features
from python_reference import with_names
from scenario_reference import with_keys
from source_address import with_citation, with_site_url, with_source
from telemetry_reference import schema_text, with_fields

DOCS = Path(__file__).resolve().parents[2] / "docs"
# Each page, and the function that returns its text with the generated part renewed.
PAGES = {
    "CITATION.cff": with_citation,
    "README.md": with_source,
    "cli.md": with_commands,
    "data.md": with_features,
    "python.md": with_names,
    "scenarios.md": with_keys,
    "telemetry.md": with_fields,
    "telemetry.schema.json": schema_text,
    "zensical.toml": with_site_url,
}


def file_of(name, docs):
    """Return the file of a page: README.md and some others stand beside docs/."""
    return docs / name if (docs / name).exists() else docs.parent / name


def outdated(docs=DOCS):
    """Return the text that each outdated page should have."""
    texts = {name: file_of(name, docs).read_text("utf-8") for name in PAGES}
    renewed = {name: renew(texts[name]) for name, renew in PAGES.items()}
    return {name: text for name, text in renewed.items() if text != texts[name]}


def main(arguments, docs=DOCS):
    """Renew the pages, or check them; return the exit code."""
    found = outdated(docs)
    for name, text in found.items():
        if "--check" in arguments:
            print(f"{name} is out of date; run: make docs", file=sys.stderr)
        else:
            file_of(name, docs).write_text(text, "utf-8")
            print(f"renewed {name}")
    return int("--check" in arguments and bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

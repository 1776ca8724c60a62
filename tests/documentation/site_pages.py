"""Copy the pages of the documentation site to build/pages, as zensical.toml lists them, for `make site`."""

import re
import shutil
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SITE = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]
PAGES = ROOT / SITE["docs_dir"]
# Pages at the top of the repository, by their name on the site.
TOP = {"index.md": "README.md"} | {name: name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")}


def listed(nav):
    """Yield the file name of every page in the navigation."""
    for entry in nav:
        for target in entry.values():
            if isinstance(target, str):
                yield target
            else:
                yield from listed(target)


def text_of(page):
    """Return the Markdown of a page, with links as they are on the site."""
    if page.startswith("api/"):
        return api_page(Path(page).stem)
    if page in TOP:
        return re.sub(r"\]\(docs/", "](", (ROOT / TOP[page]).read_text("utf-8"))
    text = re.sub(r"\]\(\.\./townlet_core/([\w/]+)\.py\)", to_api, (ROOT / "docs" / page).read_text("utf-8"))
    return re.sub(r"\]\(\.\./", "](", text)


def to_api(link):
    """Lead a link to a source file to its docstrings on the page of its room."""
    module = link[1].replace("/", ".")
    return f"](api/{module.partition('.')[0]}.md#townlet_core.{module})"


def api_page(room):
    """Return the page of a room: its own docstring, then each of its modules."""
    folder = ROOT / "townlet_core" / room
    modules = [path.relative_to(folder).with_suffix("") for path in sorted(folder.rglob("*.py"))]
    names = [".".join(module.parts) for module in modules if module.name[0] != "_"]
    parts = [f"# {room}", f"::: townlet_core.{room}", *(f"::: townlet_core.{room}.{name}" for name in names)]
    return "\n\n".join(parts) + "\n"


def main(pages=PAGES):
    """Write every page of the navigation, the pictures, the samples and the schema."""
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(ROOT / "docs" / "pictures", pages / "pictures")
    shutil.copytree(ROOT / "docs" / "samples", pages / "samples")
    shutil.copy(ROOT / "docs" / "telemetry.schema.json", pages)
    for page in listed(SITE["nav"]):
        file = pages / page
        file.parent.mkdir(exist_ok=True)
        file.write_text(text_of(page), "utf-8")


if __name__ == "__main__":
    main()

"""Every call to the disk outside io.py handles an OSError, or is listed here with a reason."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path for room in ("townlet_core", "townlet_cli") for path in (ROOT / room).rglob("*.py"))
OS = re.compile(
    "access|ch(dir|mod|own)|close|dup2?|f?(datasync|stat|sync|truncate)|getcwd|link|listdir|lstat|make?dirs?|mkdir|"
    "open|pread|pwrite|read|readlink|remove(dirs)?|renames?|replace|rmdir|scandir|symlink|unlink|utime|walk|write"
)
# Not islink, lexists and realpath, which take errors for none.
OS_PATH = re.compile("abspath|exists|get[mac]time|getsize|is(dir|file)|samefile")
PATH = re.compile(
    "absolute|cwd|exists|expanduser|r?glob|home|is_(dir|file|symlink)|iterdir|l?stat|mkdir|(read|write)_(bytes|text)|"
    "readlink|resolve|rmdir|samefile|symlink_to|touch|unlink"
)
LIBRARIES = ("shutil", "tempfile", "fcntl", "mmap")

# What may stand without a handler. Where it fails all the same, the command line names the file and exits 5.
REASONS = {
    ("training.settings", "(folder or Path()).absolute"): "fails only in a working folder that is gone",
    ("training.settings", "Path(settings.scenario).absolute"): "the same",
    ("training.run_directory", "os.path.abspath"): "the same",
    ("telemetry.export", "os.path.abspath"): "the same",
    ("replay.folder", "path.absolute"): "the same",
    ("training.input_checks", "path.absolute"): "the same",
    ("training.input_checks", "os.access"): "takes errors for a no",
    ("training.together", "folder.absolute"): "the same",
    ("simulation.numba_support", "_CORE.glob"): "of the package's own files, as an import",
    ("kernels", "path.read_bytes"): "the same",
    ("render.html", "(files('townlet_core.render') / 'player' / name).read_text"): "the same",
    ("report.page", "(files('townlet_core.report') / name).read_text"): "the same",
    ("main", "os.dup2"): "of /dev/null, where the streams have failed already",
    ("main", "os.open"): "the same",
    ("cache", "os.walk"): "skips what it may not read",
    ("console", "open"): "the same",
    ("cache", "Path.home"): "asks the environment and the list of users; their lack is handled",
    ("cache", "os.stat"): "the callers of distrust handle it",
    ("cache", "folder.is_dir"): "the callers of make_folder handle it",
    ("cache", "folder.mkdir"): "the same",
    ("locks", "fcntl.flock"): "the caller of _take handles it",
    ("telemetry.segments", "os.open"): "the callers of open_segment handle it",
    ("telemetry.segments", "os.fstat"): "the same",
    ("bulk", "os.walk"): "takes errors for an empty folder, and flush_files opens each one again",
}


def touches_the_disk(call):
    name = ast.unparse(call.func)
    head, _, last = name.rpartition(".")
    return bool(
        name == "open"
        or (head == "os" and OS.fullmatch(last))
        or (head == "os.path" and OS_PATH.fullmatch(last))
        or head in LIBRARIES
        or (PATH.fullmatch(last) and head not in ("", "io", "re", "memory", "os", "os.path"))
    )


def unhandled(path):
    """Yield the calls that no `try` around them, in their function, catches an OSError of."""

    def visit(node, is_handled):
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            is_handled = False
        if isinstance(node, ast.Call) and touches_the_disk(node) and not is_handled:
            yield ast.unparse(node.func)
        for field, value in ast.iter_fields(node):
            caught = is_handled or (field == "body" and catches(node))
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from visit(child, caught)

    return visit(ast.parse(path.read_text()), False)


def catches(block):
    """Whether a `try` or a `with suppress(…)` catches an OSError of its body."""
    if isinstance(block, ast.With):
        return any("suppress(OSError)" in ast.unparse(item.context_expr) for item in block.items)
    handlers = block.handlers if isinstance(block, ast.Try) else []
    return any(handler.type and "OSError" in ast.unparse(handler.type) for handler in handlers)


def test_every_call_to_the_disk_outside_its_door_handles_a_refusal():
    found = {
        (".".join(path.relative_to(ROOT).with_suffix("").parts[1:]), name)
        for path in FILES
        if path != ROOT / "townlet_core" / "io.py"
        for name in unhandled(path)
    }
    assert found - REASONS.keys() == set()
    assert REASONS.keys() - found == set(), "these stand no more, and need no reason"

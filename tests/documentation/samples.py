"""Make docs/samples: a small capture, a training log, its report, and the output of a notebook.

`make samples` runs this. test_samples.py checks that the files are as this version would write them.
"""

import ast
import contextlib
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[2] / "docs" / "samples"
CAPTURE, LOG, REPORT, NOTEBOOK = "capture", "telemetry.jsonl", "report.html", "telemetry.ipynb"
MANIFEST = f"{CAPTURE}/rollout_sample_manifest.json"
COMMANDS = {
    CAPTURE: f"capture queue_conflict --compress --output {CAPTURE}",
    LOG: "train queue_conflict --mode mixed --cycles 6 --num-towns 8 --hidden-size 32 --learning-rate 0.001 "
    f"--eval-every 3 --eval-episodes 8 --replay-manifest {MANIFEST} --output run",
    REPORT: f"report {LOG} --capture {MANIFEST} -o {REPORT}",
}


def main():
    """Make everything in a scratch folder, then replace what docs/samples holds."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, command in COMMANDS.items():
            print(f"townlet {command}")
            subprocess.run(
                [sys.executable, "-m", "townlet_cli", "-q", *shlex.split(command)], cwd=folder, check=True
            )
            if name == LOG:
                shutil.copy(folder / "run" / LOG, folder / LOG)
        (folder / CAPTURE / ".lock").unlink()
        shutil.rmtree(SAMPLES / CAPTURE, ignore_errors=True)
        shutil.copytree(folder / CAPTURE, SAMPLES / CAPTURE)
        for name in (LOG, REPORT):
            shutil.copy(folder / name, SAMPLES / name)
    notebook = json.loads((SAMPLES / NOTEBOOK).read_text("utf-8"))
    (SAMPLES / NOTEBOOK).write_text(json.dumps(run(notebook), indent=1, ensure_ascii=False) + "\n", "utf-8")


def run(notebook, folder=SAMPLES):
    """Return a notebook with the output of its code cells, which are run in order in a folder."""
    names, before = {"__name__": "__main__"}, Path.cwd()
    os.chdir(folder)
    try:
        return notebook | {"cells": [_run_cell(cell, names) for cell in notebook["cells"]]}
    finally:
        os.chdir(before)


def _run_cell(cell, names):
    """Run a code cell: what it prints, then the value of an expression at its end, as Jupyter shows them."""
    if cell["cell_type"] != "code":
        return cell
    body = ast.parse("".join(cell["source"])).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(body, []), "cell", "exec"), names)
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last else None
    text = printed.getvalue() + ("" if value is None else f"{value!r}")
    data = {"text/plain": text.splitlines(keepends=True)}
    shown = [{"output_type": "execute_result", "execution_count": None, "metadata": {}, "data": data}]
    return cell | {"outputs": shown if text else []}


if __name__ == "__main__":
    main()

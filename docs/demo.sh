#!/bin/sh
# Run the whole pipeline, from a scenario to an evaluated policy: print each command, then its output.
# `make demo` runs this and writes everything to ./demo.
set -eu

run() {
    printf '\n$ %s\n' "$*"
    "$@"
}

run townlet capture queue_conflict --towns 4 --output demo/capture --force
run townlet replay validate demo/capture
run townlet train queue_conflict --mode mixed --cycles 10 --seed 0 --learning-rate 0.001 \
    --replay-manifest demo/capture/rollout_sample_manifest.json --output demo/run --force
run townlet telemetry validate demo/run/telemetry.jsonl
run townlet telemetry summary demo/run/telemetry.jsonl
run townlet evaluate demo/run scripted random --scenario queue_conflict --episodes 200

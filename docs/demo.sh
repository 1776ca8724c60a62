#!/bin/sh
# Show the whole way, from a scenario to a policy that is measured: each command, then what it prints.
# `make demo` runs this; everything is written to ./demo.
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

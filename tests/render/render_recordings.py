"""Capture towns, and play them again."""

from pathlib import Path

from townlet_core.capture.capture import CaptureSettings, write_capture
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.render.animation import WHOLE
from townlet_core.render.recording import load_recording
from townlet_core.render.resimulate import play_again, scenario_of
from townlet_core.scenario.load import load_scenario

REFERENCE = Path(__file__).resolve().parents[1] / "data" / "reference" / "captures"

# Two before an empty fridge: both faint, and newcomers come.
HUNGRY = """
name: hungry
seed: 3
ticks: 60
grid: {size: [5, 3]}
objects: [{id: fridge, kind: fridge, position: [2, 0], stock: 0}]
agents:
  - {id: ann, position: [0, 1], needs: {hunger: 0.3}}
  - {id: bo, position: [4, 1], needs: {hunger: 0.3}}
rules: {needs: {respawn_delay_ticks: 5}}
"""


def captured(scenario, folder, policy=None, **settings):
    """Capture a scenario by its script into a folder and return the folder."""
    plan = load_scenario(scenario)
    chosen = {"ticks": plan.ticks, "seed": plan.seed, "epsilon": plan.rules.epsilon, **settings}
    write_capture(plan, policy or ScriptedPolicy(plan, chosen["epsilon"]), CaptureSettings(**chosen), folder)
    return folder


def animation_of(path, town=None, episode=None, scenario=None, part=WHOLE):
    recording = load_recording(path, town, episode)
    return play_again(recording, scenario_of(recording, scenario), part)

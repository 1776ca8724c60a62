"""Small towns for the tests of policies: built from words, nothing decays, nothing is left to chance."""

from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.scenario.model import Scenario
from townlet_core.scenario.validate import check_scenario
from townlet_core.simulation.towns import Towns

CALM = {"hunger_decay": 0, "hygiene_decay": 0, "energy_decay": 0}
CONTENT = {"hunger": 1.0, "hygiene": 1.0, "energy": 1.0}


def plan(agents, objects=(), rules=None, **words):
    """Describe a town; agents are content and needs do not fall unless said otherwise."""
    rules = {"epsilon": 0, **(rules or {})}
    rules["needs"] = {**CALM, **rules.get("needs", {})}
    people = [{**agent, "needs": {**CONTENT, **agent.get("needs", {})}} for agent in agents]
    base = {"name": "test", "ticks": 500, "grid": {"size": [9, 9]}}
    scenario = Scenario(**{**base, "agents": people, "objects": list(objects), "rules": rules, **words})
    assert check_scenario(scenario) == []
    return scenario


class Play:
    """A batch of towns in the hands of the scripted policy; collects events."""

    def __init__(self, scenario, num_towns=1, epsilon=None):
        self.towns = Towns(scenario, num_towns)
        self.policy = ScriptedPolicy(scenario, epsilon)
        self.events = []
        self.actions = []

    def tick(self, count=1):
        for _ in range(count):
            choice = self.policy.act(self.towns, self.towns.observe())
            self.towns.step(choice.actions)
            self.events += self.towns.new_events()
            self.actions.append(choice.actions.copy())
        return self

    def agent(self, i, town=0):
        return self.towns.state.agents[town, i]

    def of_type(self, *types):
        return [event for event in self.events if event["type"] in types]

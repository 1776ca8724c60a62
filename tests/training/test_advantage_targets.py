"""Batches: advantages of fresh frames, and recordings corrected for the policy that learns now."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_runs import settings_of, trainer_of

from townlet_core.policy.learned import LearnedPolicy
from townlet_core.replay.batch import ReplayBatch
from townlet_core.training.advantage_targets import replay_batch, rollout_batch


@pytest.fixture
def trainer(tmp_path):
    return trainer_of(tmp_path, settings_of(source="rollout", rollout_ticks=100))


def recorded(frames, terminated: bool) -> ReplayBatch:
    """Present town 0 of the frames as a recording of its first 80 ticks."""
    ticks, agents = 80, frames.actions.shape[2]
    dones = np.zeros((ticks, agents), bool)
    dones[-1] = True
    nothing = np.zeros((ticks, agents), np.float32)
    return ReplayBatch(
        map=frames.map[:ticks, 0].astype(np.float32),
        features=frames.features[:ticks, 0],
        actions=frames.actions[:ticks, 0],
        old_log_probs=frames.log_probs[:ticks, 0],
        value_preds=np.zeros((ticks + 1, agents), np.float32),
        rewards=frames.rewards[:ticks, 0],
        dones=dones,
        terminations=dones if terminated else np.zeros_like(dones),
        truncations=np.zeros_like(dones) if terminated else dones,
        action_mask=frames.action_mask[:ticks, 0],
        conflict_events=nothing,
        conflict_intensity=nothing,
        action_dim=9,
        feature_names=("x",),
        names=("a", "b", "c"),
    )


def test_a_truncated_episode_is_bootstrapped_from_its_final_observation(trainer):
    trainer.rollout.play(LearnedPolicy(trainer.network), trainer.stop_request)
    frames, config = trainer.rollout.frames, trainer.settings.ppo
    batch = rollout_batch(frames, config)
    # queue_conflict's episode ends with tick 80: there the one-step advantage is exact by hand.
    t = 79
    assert frames.truncations[t].all()
    by_hand = frames.rewards[t] + config.gamma * frames.truncation_values[t] - frames.values[t]
    got = batch.advantages.reshape(frames.actions.shape)[t]
    assert got == pytest.approx(by_hand, abs=1e-6)
    assert (frames.truncation_values[t] != frames.values[t + 1]).all()  # not the next episode's first value


def test_ticks_out_of_town_are_left_out(trainer):
    trainer.rollout.play(LearnedPolicy(trainer.network), trainer.stop_request)
    frames = trainer.rollout.frames
    frames.alive[10:20, 0, 1] = False
    batch = rollout_batch(frames, trainer.settings.ppo)
    assert len(batch.actions) == frames.actions.size - 10


@pytest.mark.parametrize(("terminated", "ticks"), [(True, 80), (False, 79)])
def test_the_last_tick_is_learned_from_only_where_nothing_follows_it(trainer, terminated, ticks):
    trainer.rollout.play(LearnedPolicy(trainer.network), trainer.stop_request)
    batch, off_policy = replay_batch(
        [recorded(trainer.rollout.frames, terminated)], trainer.network, trainer.settings.ppo
    )
    assert len(batch.actions) == ticks * 3
    assert off_policy.ratio_mean == pytest.approx(1, abs=1e-5)  # the recording is the network's own
    assert off_policy.ess_fraction == pytest.approx(1, abs=1e-5)


def test_recordings_are_judged_in_the_precision_that_learns(trainer):
    with torch.no_grad():
        trainer.network.policy_head.weight.mul_(100)  # far from even, so that rounding shows
    trainer.rollout.play(LearnedPolicy(trainer.network, "bf16"), trainer.stop_request)
    own, ratios = [recorded(trainer.rollout.frames, True)], []
    for precision in ("bf16", "fp32"):
        config = replace(trainer.settings.ppo, precision=precision)
        ratios.append(replay_batch(own, trainer.network, config)[1])
    assert ratios[0].ess_fraction == pytest.approx(1, abs=1e-8)
    assert ratios[1].ess_fraction < 1 - 1e-7


def test_on_policy_recordings_get_the_advantages_of_the_rollout(trainer):
    trainer.rollout.play(LearnedPolicy(trainer.network), trainer.stop_request)
    frames, config = trainer.rollout.frames, trainer.settings.ppo
    config = replace(config, advantage_normalization=False)
    corrected, _ = replay_batch([recorded(frames, False)], trainer.network, config, "vtrace")
    # Credit decays by γλ a tick, so early ticks do not feel how the recording ends.
    fresh = rollout_batch(frames, config).advantages.reshape(frames.actions.shape)[:20, 0]
    assert corrected.advantages.reshape(79, 3)[:20] == pytest.approx(fresh, abs=0.02)


def test_self_imitation_keeps_what_went_better_than_expected_and_nothing_else(trainer):
    trainer.rollout.play(LearnedPolicy(trainer.network), trainer.stop_request)
    frames, config = trainer.rollout.frames, trainer.settings.ppo
    config = replace(config, advantage_normalization=False, gae_lambda=1.0)
    data = [recorded(frames, False)]
    imitated, _ = replay_batch(data, trainer.network, config, "self_imitation")
    corrected, _ = replay_batch(data, trainer.network, config, "vtrace")  # on-policy, so this is plain GAE
    assert imitated.advantages == pytest.approx(np.maximum(corrected.advantages, 0), abs=1e-5)
    assert imitated.returns == pytest.approx(imitated.old_values + imitated.advantages, abs=1e-6)
    assert (imitated.advantages == 0).any()


def test_what_a_better_learner_has_left_behind_is_hardly_imitated(trainer):
    trainer.rollout.play(LearnedPolicy(trainer.network), trainer.stop_request)
    data = recorded(trainer.rollout.frames, True)
    with torch.no_grad():
        trainer.network.value_head.bias.fill_(100)  # whatever was recorded, now it goes better
    batch, _ = replay_batch([data], trainer.network, trainer.settings.ppo)
    assert batch.advantages.max() == 0


def test_recorded_advantages_are_scaled_but_not_centred(trainer):
    trainer.rollout.play(LearnedPolicy(trainer.network), trainer.stop_request)
    batch, _ = replay_batch(
        [recorded(trainer.rollout.frames, True)], trainer.network, trainer.settings.ppo, "vtrace"
    )
    assert np.square(batch.advantages).mean() == pytest.approx(1, abs=1e-3)
    assert abs(batch.advantages.mean()) > 0.1


def test_a_time_limit_can_be_the_end_of_everything(trainer):
    policy, config = LearnedPolicy(trainer.network), trainer.settings.ppo
    trainer.rollout.play(policy, trainer.stop_request)
    frames = trainer.rollout.frames
    assert frames.truncations.any()
    nothing_follows = frames._replace(truncation_values=np.zeros_like(frames.truncation_values))
    finite = replace(config, bootstrap_truncations=False)
    assert rollout_batch(frames, finite).returns == pytest.approx(
        rollout_batch(nothing_follows, config).returns
    )
    data = recorded(frames, False)
    assert len(replay_batch([data], trainer.network, finite)[0].actions) == data.transitions


def test_other_policies_recordings_have_a_smaller_effective_sample(trainer):
    trainer.rollout.play(LearnedPolicy(trainer.network), trainer.stop_request)
    data = recorded(trainer.rollout.frames, terminated=True)
    noise = np.random.default_rng(0).normal(0, 1, data.old_log_probs.shape).astype(np.float32)
    _, off_policy = replay_batch(
        [data._replace(old_log_probs=data.old_log_probs + noise)], trainer.network, trainer.settings.ppo
    )
    # For log-normal weights with σ = 1 the effective share is exp(−1) ≈ 0.37.
    assert 0.2 < off_policy.ess_fraction < 0.6

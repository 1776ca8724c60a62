"""The table of fields is the contract."""

from townlet_core.telemetry.fields import BY_NAME, CURVES, FIELDS, NUMBERS, required_fields

# From the telemetry contract, by hand.
SINCE_10 = [
    "epoch",
    "updates",
    "transitions",
    "loss_policy",
    "loss_value",
    "loss_entropy",
    "loss_total",
    "clip_fraction",
    "adv_mean",
    "adv_std",
    "grad_norm",
    "kl_divergence",
    "telemetry_version",
    "lr",
    "steps",
    "conflict.rivalry_max_mean_avg",
    "conflict.rivalry_max_max_avg",
    "conflict.rivalry_avoid_count_mean_avg",
    "conflict.rivalry_avoid_count_max_avg",
]
SINCE_11 = [
    "epoch_duration_sec",
    "data_mode",
    "cycle_id",
    "batch_entropy_mean",
    "batch_entropy_std",
    "grad_norm_max",
    "kl_divergence_max",
    "reward_advantage_corr",
    "rollout_ticks",
    "log_stream_offset",
    "queue_conflict_events",
    "queue_conflict_intensity_sum",
]
OURS = [
    "log_every",
    "clip_fraction_max",
    "clip_triggered_minibatches",
    "adv_min_std",
    "adv_zero_std_batches",
    "shared_meal_events",
    "late_help_events",
    "shift_takeover_events",
    "chat_success_events",
    "chat_failure_events",
    "chat_quality_mean",
    "utility_outage_events",
    "skipped_updates",
    "shower_complete_events",
    "sleep_complete_events",
    "baseline_sample_count",
    "baseline_reward_mean",
    "baseline_reward_sum",
    "baseline_reward_sum_mean",
    "baseline_log_prob_mean",
    "reward_mean",
    "reward_std",
    "reward_survival_mean",
    "reward_wages_mean",
    "reward_punctuality_mean",
    "reward_satisfaction_mean",
    "reward_deficit_mean",
    "reward_conflict_mean",
    "reward_faint_mean",
    "reward_clipped_mean",
    "episode_return_mean",
    "explained_variance",
    "rivalry_max_histogram",
    "ess_fraction",
    "ratio_mean",
    "steps_per_second",
    "env_steps",
    "env_ticks",
    "env_steps_per_second",
    "invalid_action_fraction",
    "scenario",
    "seed",
    "run_id",
    "timestamp",
    "eval_episodes",
    "eval_seed",
    "eval_return_mean",
    "eval_return_low",
    "eval_return_high",
    "eval_conflicts_mean",
    "eval_deterministic_return_mean",
    "eval_deterministic_return_low",
    "eval_deterministic_return_high",
    "eval_deterministic_conflicts_mean",
    "eval_duration_sec",
]


def test_each_version_requires_what_the_contract_says():
    assert sorted(required_fields(1.0)) == sorted(SINCE_10)
    assert sorted(required_fields(1.1)) == sorted(SINCE_10 + SINCE_11)
    assert required_fields(1.2) == required_fields(1.1)
    assert sorted(BY_NAME) == sorted(SINCE_10 + SINCE_11 + OURS)
    assert len(BY_NAME) == len(FIELDS)


def test_every_field_has_a_type_a_version_and_a_meaning():
    for field in FIELDS:
        assert field.type in ("int", "float", "str", "histogram"), field
        assert field.since in ("1.0", "1.1", "ours"), field
        assert field.meaning, field
    assert set(CURVES) <= set(NUMBERS)

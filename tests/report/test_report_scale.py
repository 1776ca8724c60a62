"""Axes have round numbers, written as short as they can be told apart."""

import pytest

from townlet_core.report.scale import format_tick, format_value, nice_scale, nice_step


@pytest.mark.parametrize(
    ("rough", "step"), [(0.9, 1), (1, 1), (1.1, 2), (2.2, 2.5), (26, 50), (0.0031, 0.005), (70, 100)]
)
def test_a_step_is_the_next_round_number(rough, step):
    assert nice_step(rough) == pytest.approx(step)


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [
        (20000, 5000, "20k"),
        (2500, 2500, "2.5k"),
        (1.5e6, 5e5, "1.5M"),
        (0.05, 0.05, "0.05"),
        (0.025, 0.025, "0.025"),
        (-4, 2, "-4"),
        (1e-17, 0.1, "0"),
        (2e-5, 1e-5, "2e-05"),
        (3e200, 1e200, "3e+200"),
    ],
)
def test_a_tick_has_the_digits_that_its_step_needs(value, step, text):
    assert format_tick(value, step) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(92160, "92,160"), (-0.67881, "-0.6788"), (12345.6, "12,346"), (3.0, "3"), (1e300, "1e+300")],
)
def test_a_value_is_written_with_four_digits(value, text):
    assert format_value(value) == text


def test_a_scale_to_ticks_ends_at_round_numbers():
    scale = nice_scale(-0.9, 3.2, 200, 0, 5, to_ticks=True)
    assert [scale.label(tick) for tick in scale.ticks] == ["-1", "0", "1", "2", "3", "4"]
    assert (scale.place(-1), scale.place(1.5), scale.place(4)) == (200, 100, 0)
    assert scale.place(99) == 0  # and nothing is drawn outside


@pytest.mark.parametrize(
    ("constant", "low", "high"), [(0.0, 0.0, 1.0), (5.0, 4.75, 5.25), (-1e150, -1.05e150, -0.95e150)]
)
def test_a_constant_has_room_around_it(constant, low, high):
    scale = nice_scale(constant, constant, 0, 100, 5, to_ticks=False)
    assert (scale.low, scale.high) == pytest.approx((low, high))
    assert len(set(map(scale.label, scale.ticks))) == len(scale.ticks) >= 3

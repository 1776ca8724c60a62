"""A value on the command line that is none is told in plain words, whatever the command."""

import pytest


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "train --mode rolout",
            "--mode: unknown mode 'rolout' (did you mean 'rollout'?), expected 'replay', ",
        ),
        ("train --lr-schedule lin", "--lr-schedule: unknown lr schedule 'lin' (did you mean 'linear'?)"),
        ("train --cycles abc", "--cycles: found 'abc', expected a whole number from 1 to 1,000,000"),
        ("train --gamma z", "--gamma: found 'z', expected a number from 0 to 1"),
        ("capture x --ticks 0", "--ticks: found '0', expected a whole number from 1 to 1,000,000"),
        ("capture x --epsilon 2", "--epsilon: found '2', expected a number from 0 to 1"),
        ("evaluate x --episodes one", "--episodes: found 'one', expected a whole number from 2 to 100,000"),
        ("replay render x --format pgn", "--format: unknown format 'pgn' (did you mean 'png'?), expected "),
        ("replay render x --from a", "--from: found 'a', expected a whole number of at least 0"),
        ("telemetry summary x --format jsn", "--format: unknown format 'jsn' (did you mean 'json'?)"),
    ],
)
def test_a_wrong_value_is_told_with_what_it_should_be(townlet, line, said):
    code, stdout, stderr = townlet(*line.split())
    assert (code, stdout) == (2, "")
    assert stderr.startswith(f"error: {said}"), stderr
    assert "Value error" not in stderr
    assert "Input should" not in stderr

"""Errors carry the documented exit codes and point at the nearest word."""

from townlet_core import errors


def test_exit_codes_are_the_documented_ones():
    codes = {
        error.__name__: error.exit_code
        for error in errors.TownletError.__subclasses__()
        if error.__name__ != "Interrupted"
    }
    assert codes == {
        "CheckFailed": 1,
        "InputError": 2,
        "MissingError": 3,
        "RunFailed": 4,
        "DiskError": 5,
        "BusyError": 73,
    }
    assert errors.Interrupted(15, "stopped").exit_code == 143


def test_a_near_miss_is_suggested_and_nonsense_is_not():
    assert errors.did_you_mean("showr", ("shower", "bed")) == " (did you mean 'shower'?)"
    assert errors.did_you_mean("zzz", ("shower", "bed")) == ""

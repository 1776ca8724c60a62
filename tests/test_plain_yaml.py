"""YAML of manifests and rules is read within bounds, and what it says wrong is said in few words."""

import pytest

from townlet_core.errors import InputError
from townlet_core.plain_yaml import MAX_YAML_BYTES, read_yaml


def test_plain_yaml_is_read_as_json_has_it(tmp_path):
    (tmp_path / "a.yaml").write_text("a: [1, 2.5, null, true]\nb: {made: 2026-01-01}\n")
    assert read_yaml(tmp_path / "a.yaml") == {"a": [1, 2.5, None, True], "b": {"made": "2026-01-01"}}


def test_a_long_list_is_sent_to_json_before_it_is_parsed(tmp_path):
    (tmp_path / "a.yaml").write_text("- a\n" * (MAX_YAML_BYTES // 4 + 1))
    with pytest.raises(InputError, match=r"24,580 bytes of YAML, .* expected at most 24,576") as caught:
        read_yaml(tmp_path / "a.yaml")
    assert caught.value.hint == "write it as JSON, with a name that ends in .json"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- &a [x, x]\n- [*a, *a]\n", r"a\.yaml: uses YAML aliases"),
        ("- {k: 1}\n- {k: [x], k: [x]}\n", r":2:12: not YAML: a key is there twice in one block"),
        ("- [" + "[" * 20, r"a\.yaml: nests brackets 17 deep"),
        ("- " * 5000, "not YAML we can read"),
        ("- 0x" + "f" * 5000, "not YAML we can read"),
        ("- a\n- b: c: d\n", ":2:7: not YAML"),
        (b"- a\n- caf\xd8", ":2:6: byte 0xd8 is not UTF-8 text"),
    ],
)
def test_what_is_not_plain_is_refused_in_one_short_line(tmp_path, text, sentence):
    (tmp_path / "a.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=sentence) as caught:
        read_yaml(tmp_path / "a.yaml")
    message = str(caught.value).removeprefix(str(tmp_path))
    assert len(message) < 300
    assert message.isprintable()

"""Shards: how a whole is divided, and what counts as all of its parts."""

import pytest

from townlet_core.errors import InputError
from townlet_core.shards import blocks_of_shard, parse_shard


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "a/b", "1/2/3", "-1/2"])
def test_a_shard_is_a_number_of_a_number(text):
    assert parse_shard("2/8") == (2, 8)
    with pytest.raises(InputError, match="expected I/N, such as 2/8"):
        parse_shard(text)


@pytest.mark.parametrize(("blocks", "shards"), [(7, 1), (7, 2), (7, 7), (313, 8)])
def test_shards_are_consecutive_cover_every_block_once_and_differ_by_one_at_most(blocks, shards):
    parts = [blocks_of_shard(blocks, (number, shards)) for number in range(1, shards + 1)]
    assert [block for part in parts for block in part] == list(blocks_of_shard(blocks, None))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1

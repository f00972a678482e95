"""Worlds for the tests of folders, each stopped and checked at the end."""

from collections.abc import AsyncIterator

import pytest

from tests.support.folder_world import World


@pytest.fixture
async def worlds() -> AsyncIterator[list[World]]:
    made: list[World] = []
    yield made
    for world in made:
        await world.stop()
        assert world.tree.open == 0
        assert world.kernel.closed == world.kernel.opened


@pytest.fixture
def world(worlds: list[World]) -> World:
    worlds.append(World())
    return worlds[0]

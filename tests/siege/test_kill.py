"""Twenty kills of the campaign, at events of the file system and at random moments, and the places where commands cannot work."""

import kill
import pytest
from forks import Server
from leavings import contents, difference
from places import places

pytestmark = pytest.mark.timeout(400)  # forty commands, one after the other


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kills")
    server = Server()
    try:
        return folder, kill.campaign(folder, 20, 1, given=server.given)
    finally:
        server.close()


def test_twenty_kills_leave_what_the_undisturbed_command_leaves(done):
    _, kills = done
    assert len(kills) == 20
    assert {one.command for one in kills} == set(kill.COMMANDS)
    assert [one for one in kills if one.outcome] == []
    assert len({one.status for one in kills}) > 1
    assert any(one.status in (-9, 137) for one in kills)


def test_a_difference_is_seen(done):
    folder, _ = done
    left = contents(folder / "try")
    name = next(iter(left))
    assert difference(left, left) == ""
    assert difference(left, {**left, name: b""}) == f"{name} differs"
    assert difference(left, {k: v for k, v in left.items() if k != name}) == f"{name} is only before"


def test_where_it_cannot_work_it_says_so(done):
    folder, _ = done
    assert {name: wrong for name, wrong in places(folder, few=True).items() if wrong} == {}

"""Work folders (``--work``) that were damaged between two starts: what does not fit is made anew, and the model is the same to the byte."""

import contextlib
import random
import shutil

import kill
import pytest
from promises import command

from lmbench.cli import shards

FIT = [
    "fit",
    "--model",
    "kneser-ney",
    "-o",
    "order=2",
    "--unit",
    "word",
    "--documents",
    "line",
    "--train",
    "t.txt",
    "--work",
    "w",
    "--jobs",
    "1",
    "--quiet",
    "--save",
    "out.arpa",
]


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """A folder with a model, and the work that a fit leaves that is ended just before it clears up; and that of a fit of another text."""
    folder = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards.shutil, "rmtree", lambda *_, **__: None)
        for text, work in ((kill.TEXT[::-1], "other"), (kill.TEXT, "w")):
            (folder / "t.txt").write_text(text)
            assert command([work if word == "w" else word for word in FIT], folder) == 0
    return folder


def damages(data, others, rng):
    """Cut short, empty, of other bytes, another file's, one bit turned, without end, with more after it."""
    turned = bytearray(data)
    turned[rng.randrange(len(turned))] ^= 1 << rng.randrange(8)
    return (
        data[: rng.randrange(len(data))],
        b"",
        rng.randbytes(len(data)),
        rng.choice(others),
        bytes(turned),
        b"\xff" * 40,
        data * 2,
    )


def test_what_is_damaged_in_a_work_folder_is_made_anew(left, tmp_path):
    rng, expected = random.Random(3), (left / "out.arpa").read_bytes()
    files = [p.relative_to(left) for p in sorted((left / "w").rglob("*")) if p.is_file()]
    others = {p.name: p.read_bytes() for p in (left / "other").rglob("*") if p.is_file()}
    assert {"plan", "run.0", "part.0", "link.0", "prob.1", "prob.2.0", "tokens.0"} <= others.keys()
    tried = 0
    for file in files:
        data = (left / file).read_bytes()
        for damage in rng.sample(damages(data, [others[file.name], *others.values()], rng), 3):
            place = tmp_path / "try"
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(left, place)
            with contextlib.suppress(OSError):
                (place / "out.arpa").unlink()
            (place / file).write_bytes(damage)
            assert command(FIT, place) == 0, (file, damage[:40])
            assert (place / "out.arpa").read_bytes() == expected, (file, damage[:40])
            tried += 1
    assert tried >= 30


def test_another_text_s_work_does_not_stand_for_this_one_s(left, tmp_path):
    """All of it, under the names of this text's work."""
    place = tmp_path / "try"
    shutil.copytree(left, place)
    (mine,), (theirs,) = (list((place / name).iterdir()) for name in ("w", "other"))
    shutil.rmtree(mine)
    theirs.rename(mine)
    assert command(FIT, place) == 0
    assert (place / "out.arpa").read_bytes() == (left / "out.arpa").read_bytes()

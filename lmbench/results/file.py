"""results.json on disk: written whole, read with one line of complaint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmbench.errors import InputError
from lmbench.storage.files import write_whole

if TYPE_CHECKING:
    pass


SCHEMA_VERSION = 1


def write_results(results: dict[str, Any], folder: Path) -> None:
    """results.json, whole or not at all."""
    write_whole(
        folder / "results.json", json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    )


def read_results(folder: Path) -> dict[str, Any]:
    """A run directory's results.json; raises InputError where it is missing or of another kind."""
    path = folder / "results.json" if folder.is_dir() else folder
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        if found["schema_version"] != SCHEMA_VERSION:
            raise InputError(
                f"{path} has schema {found['schema_version']}, this lmbench reads {SCHEMA_VERSION}"
            )
    except FileNotFoundError:
        raise InputError(f"{path} is not there; `lmbench run` makes a run directory with one") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not a results.json of lmbench ({error})") from None
    return found

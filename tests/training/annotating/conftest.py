"""Files as tools export them, and the command that takes them back."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from detente.annotations import Annotation, read_annotations
from training.__main__ import main

FILES = Path(__file__).parent / "files"
ALDER = "Brevia shelled the harbour of Port Alder overnight."
BRIDGE = "The minister of Caldova opened a new bridge over the Tamm."


@pytest.fixture
def lines(tmp_path: Path) -> Callable[..., Path]:
    def write(*records: object, name: str = "anna.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        return path

    return write


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    def write(*rows: str, name: str = "anna.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out" / "annotations.jsonl"


def take_back(out: Path, *arguments: object) -> dict[str, Annotation]:
    out.parent.mkdir(exist_ok=True)
    assert main(["import", *map(str, arguments), "--out", str(out)]) == 0
    return {row.id: row for row in read_annotations([out]).rows}


def problems(out: Path, capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 1) -> list[str]:
    """The problems that are named; nothing may have been written."""
    out.parent.mkdir(exist_ok=True)
    assert main(["import", *map(str, arguments), "--out", str(out)]) == code
    assert not list(out.parent.iterdir())
    return [line.removeprefix("training: ") for line in capsys.readouterr().err.splitlines()]

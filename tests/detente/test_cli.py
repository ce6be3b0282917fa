"""The command as a user runs it: a process of its own, its streams, its exit code, the files it leaves."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest


def detente(*arguments: object, stdin: bytes = b"", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "detente", *map(str, arguments)], input=stdin, capture_output=True, cwd=cwd, check=False
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def hear_interrupts() -> None:
    """What a shell runs in the background ignores SIGINT, and so does all that it starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def articles(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    lines = [
        {"id": "1", "text": "=Shells fell. Talks resume.", "source": "agency", "n": 1},
        {"id": "2"},
        {"id": "3", "text": "It rained.", "source": "=1+1", "n": "two", "extra": [1]},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_jsonl_lines_follow_the_contract(articles: Path, tiny_model: Path) -> None:
    done = detente("score", articles, "--format", "jsonl", "--model", tiny_model)
    assert done.returncode == 3
    first, third = map(json.loads, done.stdout.splitlines())
    assert list(first) == ["id", "label", "index", "scores", "sentences", "model", "source", "n"]
    assert [(s["start"], s["end"]) for s in first["sentences"]] == [(0, 13), (14, 27)]
    assert third["source"] == "=1+1"
    assert done.stderr.count("\n") == 1
    assert f"{articles}:2: no text" in done.stderr


def test_bad_articles_are_listed_beside_the_output_and_the_others_scored(articles: Path, tiny_model: Path) -> None:
    out = articles.with_name("out.jsonl")
    assert detente("score", articles, "--out", out, "--model", tiny_model).returncode == 3
    assert [json.loads(line)["id"] for line in out.read_text(encoding="utf-8").splitlines()] == ["1", "3"]
    [bad] = map(json.loads, out.with_name("out.jsonl.bad.jsonl").read_text(encoding="utf-8").splitlines())
    assert bad["where"] == f"{articles}:2"
    assert bad["reason"].startswith("no text")


def test_a_csv_has_a_row_a_sentence_and_no_formulas(articles: Path, tiny_model: Path) -> None:
    out = articles.with_name("out.csv")
    detente("score", articles, "--out", out, "--model", tiny_model)
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["sentence"], row["text"]) for row in rows] == [
        ("1", "1", "'=Shells fell."), ("1", "2", "Talks resume."), ("3", "1", "It rained."),
    ]  # fmt: skip
    assert rows[2]["source"] == "'=1+1"
    assert json.loads(rows[2]["more"]) == {"extra": [1]}


def test_parquet_is_nested_like_the_jsonl_and_loses_no_field(articles: Path, tiny_model: Path) -> None:
    out = articles.with_name("out.parquet")
    detente("score", articles, "--out", out, "--model", tiny_model)
    first, third = pq.read_table(out).to_pylist()
    assert [s["start"] for s in first["sentences"]] == [0, 14]
    assert third["extra"] == [1]
    # A field that is a number here and a text there fits no column.
    assert [json.loads(row["more"])["n"] for row in (first, third)] == [1, "two"]


def test_the_table_names_label_and_sentence_and_cannot_steer_the_terminal(tiny_model: Path) -> None:
    done = detente("score", "-", "--model", tiny_model, stdin=b"Talks \x1b[31mresume.")
    assert done.returncode == 0
    assert "Talks [31mresume." in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.txt", b"", "empty"),
        ("a.txt", b"\x00\xff", "binary"),
        ("a.txt", b"caf\xe9", "invalid UTF-8"),
        ("a.jsonl", b'{"id": 1}', "no text"),
        ("a.jsonl", b'{"text": 1}', "expected a string"),
    ],
)
def test_nothing_to_score_is_one_line_and_exit_1(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    done = detente("score", name, "--out", "out.jsonl", "--bad", "bad.jsonl", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == ["detente: bad articles: 1, listed in bad.jsonl"]
    assert reason in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "bad.jsonl"])


def test_a_one_megabyte_line_is_scored(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "a.txt").write_text("shells fell and " * 65_536, encoding="utf-8")
    done = detente("score", tmp_path / "a.txt", "--format", "jsonl", "--model", tiny_model)
    assert done.returncode == 0
    assert json.loads(done.stdout)["sentences"][-1]["end"] == 65_536 * 16 - 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nothing.txt"], "no such file"),
        (["a.txt", "--out", "missing/out.jsonl"], "cannot be written"),
        (["a.txt", "--out", "out.xyz"], "names no format"),
        (["a.txt", "--format", "parquet"], "give --out"),
        (["a.txt", "--format", "xml"], "xml"),
        (["a.txt", "--nonsense"], "--nonsense"),
        (["a.txt", "b.jsonl", "--out", "b.jsonl"], "would be overwritten"),
        (["a.pdf"], "unknown file type .pdf"),
        ([], "Missing argument"),
    ],
)
def test_wrong_usage_is_exit_2_and_leaves_nothing(tmp_path: Path, arguments: list[str], reason: str) -> None:
    for name in ("a.txt", "a.pdf", "b.jsonl"):
        (tmp_path / name).write_text('{"text": "Talks."}', encoding="utf-8")
    done = detente("score", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.txt", "b.jsonl"]
    assert (tmp_path / "b.jsonl").read_text(encoding="utf-8") == '{"text": "Talks."}'


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_exit_2(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "a.txt").write_text("Talks.", encoding="utf-8")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    done = detente("score", tmp_path / "a.txt", "--out", locked / "out.jsonl", "--model", tiny_model)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_a_damaged_model_is_one_line_and_exit_1(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "a.txt").write_text("Talks.", encoding="utf-8")
    model = shutil.copytree(tiny_model, tmp_path / "model")
    (model / "tokenizer.json").write_text("{}", encoding="utf-8")
    done = detente("score", tmp_path / "a.txt", "--out", tmp_path / "out.jsonl", "--model", model)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "changed since it was exported" in done.stderr
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_breaks_off_leaves_the_earlier_output_alone(
    tmp_path: Path, tiny_model: Path, number: signal.Signals, code: int
) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("from yesterday", encoding="utf-8")
    many = tmp_path / "many.jsonl"
    many.write_text("".join(f'{{"id": {n}, "text": "Talks resume."}}\n' for n in range(100_000)), encoding="utf-8")
    command = [sys.executable, "-m", "detente", "score", str(many), "--out", str(out), "--model", str(tiny_model)]
    process = subprocess.Popen(command, preexec_fn=hear_interrupts)  # noqa: PLW1509 - there are no other threads
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in tmp_path.glob(".out.jsonl.*.tmp")):
        assert process.poll() is None, "done before it could be stopped"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(timeout=60) == code
    assert out.read_text(encoding="utf-8") == "from yesterday"
    assert not list(tmp_path.glob(".out.jsonl.*"))


def test_a_list_of_bad_articles_never_destroys_a_file(articles: Path, tmp_path: Path, tiny_model: Path) -> None:
    out = tmp_path / "out.jsonl"
    done = detente("score", articles, "--out", out, "--bad", out, "--model", tiny_model)
    assert (done.returncode, out.exists()) == (2, False)
    done = detente("score", articles, "--out", out, "--bad", tmp_path, "--model", tiny_model)
    assert (done.returncode, out.exists()) == (2, False)
    assert "it is a folder" in done.stderr


def test_a_list_from_an_earlier_run_does_not_stand_beside_todays_output(articles: Path, tiny_model: Path) -> None:
    out = articles.with_name("out.jsonl")
    assert detente("score", articles, "--out", out, "--model", tiny_model).returncode == 3
    articles.write_text('{"text": "Talks."}', encoding="utf-8")
    assert detente("score", articles, "--out", out, "--model", tiny_model).returncode == 0
    assert out.with_name("out.jsonl.bad.jsonl").read_bytes() == b""


def test_a_full_disk_is_one_line(articles: Path, tiny_model: Path) -> None:
    command = f"{sys.executable} -m detente score {articles} --format jsonl --model {tiny_model} > /dev/full"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)  # noqa: S602 - our own paths
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_messages_cannot_steer_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"\\u001b]0;pwn\\u0007\\nX": 1}\n', encoding="utf-8")
    done = detente("score", tmp_path / "a.jsonl")
    assert done.returncode == 1
    assert "\x1b" not in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_odd_fields_reach_every_output(tmp_path: Path, tiny_model: Path, suffix: str) -> None:
    path, out = tmp_path / "in.jsonl", tmp_path / f"out.{suffix}"
    path.write_text(
        '{"text": "One.", "tags": {}, "more": "mine", "=1+1": "x", "n": NaN}\n'
        '{"text": "Two.", "tags": {"a": 1}, "n": 1}\n',
        encoding="utf-8",
    )
    assert detente("score", path, "--out", out, "--model", tiny_model).returncode == 0
    content = out.read_bytes()
    assert b"mine" in content
    if suffix == "parquet":
        first, second = pq.read_table(out).to_pylist()
        assert (first["input_more"], first["=1+1"]) == ("mine", "x")
        # An empty object has no column type of its own.
        assert (json.loads(first["more"])["tags"], second["tags"]) == ({}, {"a": 1})
    elif suffix == "csv":
        assert b",'=1+1," in content.splitlines()[0]
    else:
        assert json.loads(content.splitlines()[0])["n"] is None
        assert b"NaN" not in content


def test_a_reader_that_has_seen_enough_is_no_error(articles: Path, tiny_model: Path) -> None:
    many = articles.with_name("many.jsonl")
    many.write_text("".join(f'{{"id": {n}, "text": "Talks resume."}}\n' for n in range(3000)), encoding="utf-8")
    command = f"{sys.executable} -m detente score {many} --format jsonl --model {tiny_model} | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, check=True)  # noqa: S602 - our own paths
    assert done.stderr == b""
    assert json.loads(done.stdout)["id"] == "0"


def test_scoring_needs_neither_torch_nor_transformers(articles: Path, tiny_model: Path) -> None:
    code = (
        "import sys; from detente.cli import app\n"
        f"try: app(['score', {str(articles)!r}, '--model', {str(tiny_model)!r}])\n"
        "except SystemExit as done: assert done.code == 3, done.code\n"
        "heavy = {'torch', 'transformers', 'datasets', 'sklearn', 'pandas'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_a_title_column_named_otherwise_is_scored_first_and_passes_through(
    tmp_path: Path, tiny_model: Path, suffix: str
) -> None:
    path, out = tmp_path / "in.csv", tmp_path / f"out{suffix}"
    path.write_text("nr;kop;stuk\n7;Truce signed;It holds.\n", encoding="utf-8")
    named = ["--text-column", "stuk", "--id-column", "nr", "--title-column", "kop"]
    assert detente("score", path, "--out", out, "--model", tiny_model, *named).returncode == 0
    if suffix == ".csv":
        with out.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [(row["id"], row["sentence"], row["text"], row["kop"]) for row in rows] == [
            ("7", "0", "Truce signed", "Truce signed"), ("7", "1", "It holds.", "Truce signed"),
        ]  # fmt: skip
    else:
        lines = pq.read_table(out).to_pylist() if suffix == ".parquet" else [json.loads(out.read_bytes())]
        assert [sentence.get("in_title") for sentence in lines[0]["sentences"]] == [True, None]
        assert (lines[0]["id"], lines[0]["kop"]) == ("7", "Truce signed")

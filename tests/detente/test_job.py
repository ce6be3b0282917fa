"""Batch jobs as a user runs them: processes that are killed, started again, and have to end with the same bytes."""

import gzip
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from detente.articles import Columns, article_files
from detente.formats import OutputFormat
from detente.job import Job, Settings
from detente.journal import Journal
from detente.scoring import Scorer
from tests.detente.test_cli import hear_interrupts

ROWS = 40


def command(folder: Path, out: Path, model: Path, *more: str) -> list[str]:
    arguments = ["score", folder, "--out", out, "--model", model, "--shard-rows", ROWS, *more]
    return [sys.executable, "-m", "detente", *map(str, arguments)]


def run(folder: Path, out: Path, model: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(folder, out, model, *more), capture_output=True, text=True, check=False)


def written(out: Path) -> dict[str, bytes]:
    """What a job left, but for its own books and the one figure in the summary that is the clock's."""
    found = {path.name: path.read_bytes() for path in out.iterdir() if path.name.startswith(("part-", ".part"))}
    summary = json.loads((out / "summary.json").read_bytes())
    del summary["seconds_of_last_run"]
    return found | {"summary": json.dumps(summary).encode()}


@pytest.fixture(scope="module")
def articles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,500 articles and some that cannot be read, in files of several kinds; one id stands twice."""
    folder = tmp_path_factory.mktemp("articles")
    lines = [
        json.dumps({"id": str(n), "text": f"Shells fell on village {n}. Talks resume in {n % 7} days.", "n": n})
        for n in range(1500)
    ]
    lines[70], lines[900] = "broken", lines[3]
    (folder / "a.jsonl").write_text("\n".join(lines[:600]), encoding="utf-8")
    (folder / "b.jsonl.gz").write_bytes(gzip.compress("\n".join(lines[600:]).encode()))
    (folder / "c.txt").write_text("The truce holds.", encoding="utf-8")
    (folder / "d.csv").write_text("id,text\nd1,Guns fell silent.\nd2,\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def undisturbed(articles: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    done = run(articles, out, tiny_model)
    assert done.returncode == 3, done.stderr
    return written(out)


def test_a_job_writes_every_article_once_and_lists_the_bad_ones(undisturbed: dict[str, bytes]) -> None:
    scored = [json.loads(line) for name in sorted(undisturbed) if name.endswith(".jsonl") and ".bad." not in name
              for line in undisturbed[name].splitlines()]  # fmt: skip
    bad = [
        json.loads(line) for name, content in undisturbed.items() if ".bad." in name for line in content.splitlines()
    ]
    ids = [line["id"] for line in scored]
    assert len(ids) == len(set(ids)) == 1500
    assert [line["n"] for line in scored[:3]] == [0, 1, 2]
    reasons = sorted(one["reason"].partition(" ")[0] for one in bad)
    assert reasons == ["empty", "id", "not"]
    summary = json.loads(undisturbed["summary"])
    assert (summary["articles"], summary["bad"], summary["shards"]) == (1500, 3, 38)
    assert sum(summary["labels"].values()) == 1500


def test_killed_25_times_at_random_moments_it_ends_with_the_bytes_of_an_undisturbed_run(
    articles: Path, tiny_model: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    rng = random.Random(7)  # noqa: S311 - when to kill is no secret
    out, kills, finished = tmp_path / "out0", 0, 0
    while kills < 25:
        process = subprocess.Popen(command(articles, out, tiny_model), stderr=subprocess.DEVNULL)
        # Once it has begun to write, so that the kills fall into the work and not into the start.
        while not list(out.glob(".part-*.tmp")) and process.poll() is None:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        if process.wait() == -signal.SIGKILL:
            kills += 1
        else:
            assert written(out) == undisturbed
            finished += 1
            out = tmp_path / f"out{finished}"
    assert run(articles, out, tiny_model).returncode == 3
    assert written(out) == undisturbed


def test_a_kill_between_the_shard_and_its_entry_loses_and_doubles_nothing(
    articles: Path, tiny_model: Path, undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, finish = tmp_path / "out", Journal.finish_shard

    def interrupted(journal: Journal, number: int, *rest: object) -> None:
        if number == 2:
            raise KeyboardInterrupt
        finish(journal, number, *rest)

    monkeypatch.setattr(Journal, "finish_shard", interrupted)
    files = article_files([articles])
    with pytest.raises(KeyboardInterrupt), Job(out, lambda: Scorer(tiny_model), settings()) as job:
        job.score(files, lambda _: None)
    assert (out / "part-000002.jsonl").exists()
    monkeypatch.undo()
    assert run(articles, out, tiny_model).returncode == 3
    assert written(out) == undisturbed


def settings(rows: int = ROWS) -> Settings:
    return Settings(OutputFormat.JSONL, Columns(), shard_rows=rows)


def test_a_full_disk_costs_nothing_that_was_done(
    articles: Path, tiny_model: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    limit = len(undisturbed["part-000000.jsonl"]) - 500

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        command(articles, out, tiny_model), capture_output=True, text=True, check=False, preexec_fn=full
    )
    assert done.returncode in {1, 2}
    assert done.stderr.count("\n") == 1
    assert run(articles, out, tiny_model).returncode == 3
    assert written(out) == undisturbed


def test_a_disk_that_fills_up_under_the_journal_is_one_line(tiny_model: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    lines = [json.dumps({"id": f"{n:0150}", "text": "Talks."}) for n in range(300)]
    (folder / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    done = subprocess.run(
        command(folder, out, tiny_model), capture_output=True, text=True, check=False, preexec_fn=full
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "journal.sqlite: cannot be written" in done.stderr
    assert run(folder, out, tiny_model).returncode == 0
    assert json.loads((out / "summary.json").read_bytes())["articles"] == 300


def test_ids_made_of_places_differ_wherever_the_command_is_run(tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for day in ("monday", "tuesday"):
        (tmp_path / day).mkdir()
        (tmp_path / day / "feed.jsonl").write_text('{"text": "Talks."}\n', encoding="utf-8")
        arguments = command(Path("feed.jsonl"), out, tiny_model)
        assert subprocess.run(arguments, cwd=tmp_path / day, check=False, capture_output=True).returncode == 0
    ids = [json.loads((out / f"part-00000{n}.jsonl").read_bytes())["id"] for n in range(2)]
    assert ids == [f"{tmp_path}/monday/feed.jsonl:1", f"{tmp_path}/tuesday/feed.jsonl:1"]


def test_equal_ids_on_equal_lines_of_two_files_are_seen(tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for day in ("monday", "tuesday"):
        (tmp_path / day).mkdir()
        (tmp_path / day / "feed.jsonl").write_text('{"id": "7", "text": "Talks."}\n', encoding="utf-8")
        done = subprocess.run(
            command(Path("feed.jsonl"), out, tiny_model), cwd=tmp_path / day, check=False, capture_output=True
        )
    assert done.returncode == 3
    assert "'7' was used before at" in (out / "part-000001.bad.jsonl").read_text(encoding="utf-8")


def test_a_shard_left_by_a_kill_does_not_outlive_its_file(tiny_model: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    (folder / "a.txt").write_text("Talks.", encoding="utf-8")
    assert run(folder, out, tiny_model).returncode == 0
    (out / "part-000001.jsonl").write_text('{"id": "gone"}\n', encoding="utf-8")
    assert run(folder, out, tiny_model).returncode == 0
    assert sorted(path.name for path in out.glob("part-*")) == ["part-000000.jsonl"]


def test_a_journal_that_was_lost_costs_no_shard(tiny_model: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    (folder / "a.jsonl").write_text('{"text": "Talks."}\n' * (ROWS + 1), encoding="utf-8")
    assert run(folder, out, tiny_model).returncode == 0
    (out / "journal.sqlite").write_bytes(b"")
    done = run(folder, out, tiny_model)
    assert done.returncode == 2
    assert "holds part-000001.jsonl, but its journal knows of 0 shards" in done.stderr
    assert len(list(out.glob("part-*"))) == 2


def test_a_name_that_is_no_utf_8_costs_its_own_file_alone(tiny_model: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    (folder / "a.txt").write_text("Talks.", encoding="utf-8")
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.txt")).write_text("Talks.", encoding="utf-8")
    assert run(folder, out, tiny_model).returncode == 3
    [bad] = map(json.loads, (out / "part-000000.bad.jsonl").read_text(encoding="utf-8").splitlines())
    assert bad["reason"] == "its name is not valid UTF-8; rename it"
    assert run(folder, tmp_path / "out.jsonl", tiny_model).returncode == 3


def test_a_mistaken_start_settles_nothing(tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "a.txt").write_text("Talks.", encoding="utf-8")
    assert run(tmp_path / "aa", out, tiny_model).returncode == 2
    assert not out.exists()
    with Job(out, lambda: Scorer(tiny_model), settings()):
        pass
    assert run(tmp_path / "a.txt", out, tiny_model, "--format", "csv").returncode == 0
    assert run(tmp_path / "a.txt", tmp_path / "watched", tiny_model, "--watch").returncode == 2


def test_a_second_job_on_the_same_folder_is_refused(articles: Path, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Job(out, lambda: Scorer(tiny_model), settings()):
        done = run(articles, out, tiny_model)
    assert done.returncode == 2
    assert "another job is writing there" in done.stderr


def test_files_that_come_later_are_scored_and_those_done_are_not_again(tiny_model: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    (folder / "b.jsonl").write_text('{"id": "1", "text": "Talks."}\n', encoding="utf-8")
    assert run(folder, out, tiny_model).returncode == 0
    first = (out / "part-000000.jsonl").stat()
    (folder / "a.jsonl").write_text('{"id": "2", "text": "Talks."}\n{"id": "1", "text": "Again."}\n', encoding="utf-8")
    assert run(folder, out, tiny_model).returncode == 3
    assert (out / "part-000000.jsonl").stat().st_mtime_ns == first.st_mtime_ns
    [line] = (out / "part-000001.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["id"] == "2"
    assert "was used before at" in (out / "part-000001.bad.jsonl").read_text(encoding="utf-8")
    assert run(folder, out, tiny_model).returncode == 3
    assert not (out / "part-000002.jsonl").exists()


def test_a_job_goes_on_only_with_what_it_was_begun_with(tiny_model: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    path = folder / "a.jsonl"
    path.write_text('{"id": "1", "text": "Talks."}\n', encoding="utf-8")
    assert run(folder, out, tiny_model).returncode == 0
    other = run(folder, out, tiny_model, "--format", "csv")
    assert other.returncode == 2
    assert 'was begun with format "jsonl", now it is "csv"' in other.stderr
    path.write_text('{"id": "3", "text": "Talks go on."}\n', encoding="utf-8")
    changed = run(folder, out, tiny_model)
    assert changed.returncode == 2
    assert "was changed after it was scored" in changed.stderr


@pytest.mark.parametrize("name", ["foreign", "inside"])
def test_a_folder_that_is_not_the_jobs_own_is_refused(tiny_model: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.txt").write_text("Talks.", encoding="utf-8")
    out = tmp_path / "out" if name == "foreign" else folder / "out"
    out.mkdir()
    (out / "mine.doc").write_text("mine", encoding="utf-8")
    done = run(folder, out, tiny_model)
    assert done.returncode == 2
    assert ("holds other files" if name == "foreign" else "one lies in the other") in done.stderr
    assert [path.name for path in out.iterdir() if not path.name.startswith(".")] == ["mine.doc"]


def test_a_damaged_journal_is_told(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_text("no database" * 200, encoding="utf-8")
    with (
        pytest.raises(Exception, match="no journal of a batch job"),
        Job(tmp_path, lambda: Scorer(tiny_model), settings()),
    ):
        pass


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_other_formats_come_in_shards_too(articles: Path, tiny_model: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    assert run(articles, out, tiny_model, "--format", form).returncode == 3
    assert len(list(out.glob(f"part-*.{form}"))) == 38


def test_a_watched_folder_is_scored_as_files_arrive(tiny_model: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    process = subprocess.Popen(
        command(folder, out, tiny_model, "--watch"), stderr=subprocess.PIPE, text=True,
        preexec_fn=hear_interrupts,  # noqa: PLW1509 - there are no other threads
    )  # fmt: skip
    try:
        for number in range(2):
            shutil.copy(_article(tmp_path, number), folder / f"{number}.txt")
            _wait_for(out / f"part-{number:06}.jsonl")
    finally:
        process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "2 articles scored in 2 shards, 0 bad" in complaints


def _article(folder: Path, number: int) -> Path:
    path = folder / f"article{number}"
    path.write_text(f"Talks resume in {number} days.", encoding="utf-8")
    return path


def _wait_for(path: Path) -> None:
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"{path} did not come")


def test_standard_input_is_no_batch_job(tiny_model: Path, tmp_path: Path) -> None:
    done = run(Path("-"), tmp_path / "out", tiny_model)
    assert done.returncode == 2
    assert "cannot be taken up again" in done.stderr

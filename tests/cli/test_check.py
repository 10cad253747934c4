"""`sightline check` as a user meets it."""

import json
from pathlib import Path

import pytest

from label_faults import CASES, clean_coco, clean_voc
from sightline.cli import main


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["check", *arguments])
    return int(stop.value.code or 0)


def test_a_clean_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(clean_voc(tmp_path)), "--no-duplicates") == 0
    out = capsys.readouterr().out
    assert "2 images (0 without objects), 2 objects of 1 classes" in out
    assert "0 errors, 0 warnings, 0 notes" in out


def test_faults_end_with_4_and_say_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = next(case for case in CASES if case.code == "box.swapped")
    assert run(str(case.make(tmp_path))) == 4
    out = capsys.readouterr().out
    assert "error  box.swapped  × 1" in out and "object 2 ('dog')" in out and "→" in out
    assert "--on-bad fix" in out


def test_json_is_one_line_with_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = next(case for case in CASES if case.code == "annotation.category")
    assert run(str(case.make(tmp_path)), "--json", "--no-duplicates") == 4
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert told["counts"]["error"] == 1 and told["rules"] == {"annotation.category": 1}
    (finding,) = told["findings"]
    assert finding["id"] == 17 and finding["pointer"].startswith("/annotations/2")
    assert told["splits"]["val"]["classes"] == {"cat": 1, "dog": 1}


def test_the_report_and_its_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = clean_coco(tmp_path / "data"), tmp_path / "out"
    assert run(str(root), "--out", str(out), "--no-duplicates") == 0
    assert json.loads((out / "report.json").read_text())["sound"] is True
    assert (out / "distribution.png").read_bytes().startswith(b"\x89PNG")
    assert str(out) in capsys.readouterr().out


def test_warnings_alone_are_no_failure(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.code == "object.repeated")
    assert run(str(case.make(tmp_path)), "--no-duplicates") == 0


def test_no_data_set_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(tmp_path)) == 4
    assert "dataset.unknown" in capsys.readouterr().err

"""Programs reach the verbs through the running page; the scripts of docs/api.md run as they stand."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from musiscene.errors import RequestError
from musiscene.ui.verbs import Gate

ROOT = Path(__file__).parents[2]
CLIP = ROOT / "assets" / "examples" / "shapes.mp4"

slow = pytest.mark.slow


@pytest.fixture(scope="module")
def address(run_page: Callable[..., str]) -> str:
    """A running page on folders of its own."""
    return run_page(api_per_hour=0)


@slow
def test_the_scripts_of_the_docs_run(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One after the other, with the address of this page in place of the documented one."""
    shutil.copyfile(CLIP, tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    scripts = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "api.md").read_text("utf-8"), re.DOTALL)
    for script in scripts:
        exec(compile(script.replace("http://127.0.0.1:7860", address), "docs/api.md", "exec"), {})

    assert len(scripts) == 3
    assert (tmp_path / "waltz.wav").read_bytes()[:4] == b"RIFF"
    assert "msi musiscene/media/" in capsys.readouterr().out


@slow
@pytest.mark.parametrize(
    ("script", "arguments", "words"),
    [
        ("describe.py", ["clip.mp4"], "msi: "),
        ("score.py", ["a calm waltz", "out.wav"], "out.wav: 8.0 s"),
        ("compare.py", ["clip.mp4", "results"], "results/msi.mp4: "),
        ("rate.py", ["clip.mp4"], "msi 55.0"),
        ("mcp_tools.py", ["clip.mp4"], "kept: 80.0"),
        ("describe.sh", ["clip.mp4"], "event: complete"),
    ],
)
def test_the_examples_run(address: str, tmp_path: Path, script: str, arguments: list[str], words: str) -> None:
    """Each script of docs/examples as somebody starts it, with the address of this page as its last argument."""
    shutil.copyfile(CLIP, tmp_path / "clip.mp4")
    program = ["sh"] if script.endswith(".sh") else [sys.executable]
    command = [*program, str(ROOT / "docs" / "examples" / script), *arguments, address.rstrip("/")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr[-800:]
    assert words in done.stdout


def test_every_example_is_run() -> None:
    """A script that is added to docs/examples is added to the test above."""
    run = {case[0] for mark in test_the_examples_run.pytestmark if mark.name == "parametrize" for case in mark.args[1]}  # type: ignore[attr-defined]
    assert run == {path.name for path in (ROOT / "docs" / "examples").iterdir() if path.is_file()}


@slow
def test_only_the_verbs_are_public(address: str) -> None:
    """The page's own events are no endpoints, and each verb has its parameters documented."""
    told = Client(address, verbose=False).view_api(return_format="dict")
    assert isinstance(told, dict)
    assert set(told["named_endpoints"]) == {"/describe", "/score", "/compare", "/rate"}
    names = [parameter["parameter_name"] for parameter in told["named_endpoints"]["/score"]["parameters"]]
    assert names == ["text", "duration_s", "seed"]


@slow
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("/score", "", 5.0), "Describe the music"),
        (("/score", "calm", 1e9), "seconds long"),
        (("/describe", {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}), "."),
        (("/rate", "../../etc", "t", 50, "somebody-1"), "."),
    ],
)
def test_what_is_wrong_is_one_sentence(address: str, call: tuple[object, ...], words: str) -> None:
    """Without a traceback or a path of this machine."""
    client = Client(address, verbose=False)
    with pytest.raises((AppError, ValueError)) as caught:
        client.predict(*call[1:], api_name=str(call[0]))
    assert words in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert "root:" not in str(caught.value)


@slow
def test_a_file_that_is_no_media_is_refused_by_its_content(address: str, tmp_path: Path) -> None:
    """Whatever it is called."""
    page = tmp_path / "film.mp4"
    page.write_text("<script>alert(1)</script>" * 100)
    with pytest.raises(AppError, match=r"film\.mp4"):
        Client(address, verbose=False).predict(handle_file(page), api_name="/describe")


@slow
def test_nothing_of_the_machine_is_served(address: str, tmp_path: Path) -> None:
    """No path, name or address reaches a file that is not a result; every answer forbids guessing types."""
    client = httpx.Client(base_url=address, timeout=60)
    upload = client.post("/gradio_api/upload", files={"files": ("page.html", b"<script>1</script>")}).json()[0]
    for path in (
        f"/gradio_api/file={upload}",
        f"/file={upload}",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=../../etc/passwd",
        "/musiscene/score/../../etc/passwd",
        "/musiscene/score/%2e%2e/soundtrack.wav",
        "/musiscene/score/x/soundtrack.wav",
        "/musiscene/media/%2e%2e%2f%2e%2e/source",
        "/musiscene/static/..%2fapp.py",
        "/musiscene/media/aaaaaaaaaaaaaaaaaaaa/source",
    ):
        answer = client.get(path)
        assert answer.status_code in (403, 404), path
        assert b"root:" not in answer.content
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert client.get("/").headers["referrer-policy"] == "same-origin"


def test_a_key_is_wanted_where_there_are_keys() -> None:
    """One of several; a wrong one, a part of one and none are refused alike."""
    gate = Gate("first, second", 0)
    gate.enter("Bearer second", "1.2.3.4")
    for wrong in ("", "Bearer", "Bearer sec", "Bearer first, second", "Bearer ü"):
        with pytest.raises(RequestError, match="wants a key"):
            gate.enter(wrong, "1.2.3.4")


def test_each_visitor_has_so_many_calls_an_hour() -> None:
    """The next is told when there is one again; others are not held back."""
    gate = Gate("", 2)
    gate.enter("", "a", now=0)
    gate.enter("", "a", now=600)
    with pytest.raises(RequestError, match="in 30 minutes"):
        gate.enter("", "a", now=1800)
    gate.enter("", "b", now=1800)
    gate.enter("", "a", now=3601)

"""Which model is asked, what it lacks, and that it is made once."""

import threading
from pathlib import Path
from typing import Any

import pytest

from musiscene.captions._language import Connection, ModelSource
from musiscene.captions._language.source import DEFAULT_MODEL, KNOWN_MODELS
from musiscene.errors import BackendUnavailableError, ConfigError


def test_without_settings_a_small_model_on_this_machine_is_meant() -> None:
    """Pinned, with a free licence; its weights are asked for, not fetched."""
    connection = Connection()

    assert (connection.provider, connection.model) == ("local", DEFAULT_MODEL)
    assert connection.revision == KNOWN_MODELS[DEFAULT_MODEL].revision
    assert all(known.license == "Apache-2.0" and len(known.revision) == 40 for known in KNOWN_MODELS.values())


def test_an_address_means_a_server() -> None:
    """The kind need not be named."""
    assert Connection(model="m", url="http://localhost:1/v1").provider == "openai"
    assert Connection(" HF ", api_key="k").provider == "hf"


@pytest.mark.parametrize(
    ("connection", "says"),
    [
        (Connection("openai"), "MUSISCENE_LLM_URL"),
        (Connection(url="http://localhost:1/v1"), "MUSISCENE_LLM_MODEL"),
        (Connection("hf"), "MUSISCENE_LLM_API_KEY"),
        (Connection(model="nobody/nothing"), "hf download nobody/nothing"),
        (Connection(model="nobody/nothing@abc"), "--revision abc"),
        (Connection(model="not an id!"), "not here"),
    ],
)
def test_what_is_lacking_is_said_with_the_next_step(connection: Connection, says: str) -> None:
    """And asking all the same is refused with the same words."""
    reason = connection.why_unavailable()

    assert reason is not None
    assert says in reason
    with pytest.raises(BackendUnavailableError, match=says):
        ModelSource(connection).get()


def test_the_weights_of_the_project_are_looked_for_in_its_folder(tmp_path: Path) -> None:
    """Their command is named; a name of `musiscene weights list` is as good as an id."""
    connection = Connection(model="qwen3-1.7b", weights_dir=tmp_path)

    assert connection.repo_id == "Qwen/Qwen3-1.7B"
    assert "musiscene weights download qwen3-1.7b" in (connection.why_unavailable() or "")


def test_a_folder_without_weights_is_no_model(tmp_path: Path) -> None:
    """Said before anything is loaded."""
    assert "not here" in (Connection(model=str(tmp_path)).why_unavailable() or "")


def test_a_model_that_memory_cannot_hold_is_refused_before_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sizes are in the message."""
    (tmp_path / "config.json").write_text("{}")
    with (tmp_path / "model.safetensors").open("wb") as sparse:
        sparse.truncate(5 * 10**12)
    monkeypatch.setattr("musiscene.captions._language.source._has_accelerator", lambda: False)

    assert "5000 GB of memory" in (Connection(model=str(tmp_path)).why_unavailable() or "")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"provider": "cloud"}, "local, hf, openai"),
        ({"url": "localhost:8000"}, "MUSISCENE_LLM_URL"),
        ({"url": "ftp://host/v1"}, "MUSISCENE_LLM_URL"),
        ({"url": "http://host:99999/v1"}, "MUSISCENE_LLM_URL"),
        ({"url": "http://me:hunter2@host/v1"}, "MUSISCENE_LLM_API_KEY"),
        ({"url": "http://host/v1?key=hunter2"}, "MUSISCENE_LLM_API_KEY"),
        ({"api_key": "hunter2 \n"}, "MUSISCENE_LLM_API_KEY"),
        ({"api_key": "hunter2—"}, "MUSISCENE_LLM_API_KEY"),
        ({"timeout_s": 0.0}, "MUSISCENE_LLM_TIMEOUT_S"),
        ({"timeout_s": float("nan")}, "MUSISCENE_LLM_TIMEOUT_S"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_without_repeating_secrets(settings: Any, says: str) -> None:
    """The variable is named, the value of a secret is not."""
    with pytest.raises(ConfigError, match=says) as raised:
        Connection(**settings)
    assert "hunter2" not in str(raised.value)


def test_the_model_is_made_once_however_many_ask(chat: Any) -> None:
    """Two backends, twelve threads, one model."""
    source = ModelSource(Connection(model="m", url=chat.url))
    got: list[object] = []
    threads = [threading.Thread(target=lambda: got.append(source.get())) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(map(id, got))) == 1

"""Deployment settings: the only place that reads environment variables.

A request's choices are arguments, an experiment's are a TOML file; neither belongs here.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from musiscene.errors import ConfigError
from musiscene.types import Limits


def _default_data_dir() -> Path:
    return Path.home() / ".local" / "share" / "musiscene"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that differs between two deployments. Read once, passed in, never changed.

    Every field is read from the variable `MUSISCENE_<NAME>`; those of `limits` from `MUSISCENE_<NAME>` too.
    """

    data_dir: Path = field(default_factory=_default_data_dir)
    """Ratings database and downloaded weights."""
    work_dir: Path = field(default_factory=lambda: Path(tempfile.gettempdir()) / "musiscene")
    """One folder per request; cleaned after `keep_files_s`."""
    database_url: str = ""
    """SQLAlchemy address; a SQLite file in `data_dir` when empty."""
    sqlite_journal: str = ""
    """How SQLite writes: wal (a disk of this machine), or delete (a mounted bucket); wal when empty."""
    studies: Path | None = None
    """Folder of frozen listening studies that the page runs."""
    study_dataset: str = ""
    """Private dataset on the Hub that the study's database is kept in, where the disk is not: user/name."""
    results_password: str = field(default="", repr=False)
    """Secret. Opens /results; without it that page does not exist."""
    api_keys: str = field(default="", repr=False)
    """Secret. Keys that programs have to show, separated by commas; none are wanted when empty."""
    api_per_hour: int = 120
    """Calls of the endpoints that one visitor (or one key) has an hour; 0 for no limit."""
    uploads_per_hour: int = 120
    """Files that one visitor may upload an hour; 0 for no limit."""
    upload_bytes_per_hour: int = 20 * 1024**3
    """Bytes of them together; 0 for no limit."""
    upload_pause_s: float = 20.0
    """Longest silence of an upload."""
    events_per_minute: int = 600
    """Requests to do something that one visitor may send a minute; 0 for no limit."""
    proxies: int = 0
    """Proxies of our own before this server, which say in `X-Forwarded-For` who asks; on a Space there is one."""
    gallery: Path | None = None
    """Folder of showcases that the page offers."""
    profile: str = "auto"
    soundfont: Path | None = None
    """Another SoundFont (.sf2) for the arranger."""
    musicgen: str = ""
    """MusicGen's weights: a name in `musiscene weights list`, its repository, or a folder; chosen when empty."""
    musicgen_precision: str = ""
    """auto, float32, bfloat16, float16 or int8; auto when empty."""
    mu_llama_precision: str = ""
    """auto, float32, bfloat16, float16, int8 or int4; auto when empty."""
    audiocraft: str = ""
    """audiocraft's weights: a name in `musiscene weights list`, or a folder; audiocraft-musicgen-melody when empty."""
    audiocraft_environment: Path | None = None
    """Folder of audiocraft's own environment; `.venv-audiocraft` beside the checkout when empty."""
    llm_provider: str = ""
    """Where the language model is: local, hf or openai; empty for openai when there is an address, else local."""
    llm_model: str = ""
    """Id of the language model, or a folder with its weights; a good small one when empty."""
    llm_url: str = ""
    """Base address of a server that speaks the OpenAI chat protocol."""
    llm_api_key: str = field(default="", repr=False)
    """Secret. What that server wants to be shown."""
    llm_timeout_s: float = 60.0
    """Longest silence of that server."""
    backend_url: str = ""
    """Address of another machine's `musiscene.serve_ray`; what it has is done there."""
    backend_key: str = field(default="", repr=False)
    """Secret. What that machine wants to be shown; on that machine, the keys that it takes, separated by commas."""
    backend_timeout_s: float = 30.0
    """Longest silence of that machine."""
    host: str = "127.0.0.1"
    port: int = 7860
    keep_files_s: float = 24 * 3600.0
    log_level: str = "INFO"
    limits: Limits = field(default_factory=Limits)

    @property
    def ratings_url(self) -> str:
        """Address of the ratings database."""
        return self.database_url or f"sqlite:///{self.data_dir / 'ratings.db'}"

    @property
    def study_url(self) -> str:
        """Address of the studies' database."""
        return self.database_url or f"sqlite:///{self.data_dir / 'study.db'}"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from `environ` (the process's own by default).

        Raises:
            ConfigError: A variable does not hold what it should; the message names it.
        """
        environ = os.environ if environ is None else environ
        limits = {f.name: _read(environ, f.name, str(f.type)) for f in fields(Limits)}
        own = {f.name: _read(environ, f.name, str(f.type)) for f in fields(cls) if f.name != "limits"}
        given: dict[str, Any] = {name: value for name, value in own.items() if value is not None}
        return cls(limits=Limits(**{n: v for n, v in limits.items() if v is not None}), **given)


def _read(environ: Mapping[str, str], name: str, type_name: str) -> Any:
    variable = f"MUSISCENE_{name.upper()}"
    text = environ.get(variable, "").strip()
    if not text:
        return None
    if type_name.startswith("Path"):
        return Path(text).expanduser()
    try:
        if type_name == "int":
            return int(text)
        if type_name == "float":
            return float(text)
    except ValueError:
        raise ConfigError(f"{variable} must be a number, got {text!r}.") from None
    return text

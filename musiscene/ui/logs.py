"""The page's log: without secrets, without anybody's token, and without the folders of this machine."""

from __future__ import annotations

import logging
import re
import sys
import tempfile
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

from musiscene.errors import ConfigError
from musiscene.settings import Settings

_FORM = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_TOKEN = re.compile(r"((?:musiscene/(?:media|plot|zip|score)/|[?&]c=))[A-Za-z0-9_-]{16,64}")
_SHORTEST_SECRET = 4


class Cleaner:
    """Replaces secrets, tokens and folders in a text."""

    def __init__(self, settings: Settings) -> None:
        self._secrets = sorted(_secrets(settings), key=len, reverse=True)
        # A file of a visitor goes whole, since its name and its folder are theirs; of code only the folder goes. Where
        # one lies inside the other, the inner one counts.
        theirs = {settings.work_dir, settings.data_dir, Path(tempfile.gettempdir())}
        ours = {Path(__file__).absolute().parents[2], Path(sys.prefix), Path(sys.base_prefix), Path.home()}
        self._ours = {str(folder) for folder in ours if str(folder) != "/"}
        folders = sorted(self._ours | {str(folder.absolute()) for folder in theirs}, key=len, reverse=True)
        end = r"\s'\",:)\]"
        self._paths = re.compile(rf"({'|'.join(map(re.escape, folders))})(?=[/{end}]|$)((?:/[^{end}]*)*)")

    def clean(self, text: str) -> str:
        """`text` as it may be read by whoever keeps the log."""
        for secret in self._secrets:
            text = text.replace(secret, "(secret)")
        text = self._paths.sub(self._shortened, text)
        return _TOKEN.sub(r"\1(token)", text)

    def _shortened(self, path: re.Match[str]) -> str:
        folder, rest = path.groups()
        return str(rest).removeprefix("/") if folder in self._ours else "(file)"


class Discreet(logging.Formatter):
    """Writes a record cleaned, its traceback too."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(_FORM)
        self._cleaner = Cleaner(settings)

    def format(self, record: logging.LogRecord) -> str:
        """The line, and what follows it."""
        return self._cleaner.clean(super().format(record))


class DiscreetStream:
    """A stream that is written to through a cleaner: Gradio prints tracebacks past the log."""

    def __init__(self, stream: TextIO, settings: Settings) -> None:
        self._stream, self._cleaner = stream, Cleaner(settings)

    def write(self, text: str) -> int:
        """Write `text` cleaned; say that all of it was."""
        self._stream.write(self._cleaner.clean(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def keep_log(settings: Settings) -> None:
    """Write what `musiscene` has to say from `MUSISCENE_LOG_LEVEL` on to stderr; a log that is set up already stays.

    Raises:
        ConfigError: There is no such level.
    """
    level = logging.getLevelNamesMapping().get(settings.log_level.upper())
    if level is None:
        raise ConfigError(
            f"MUSISCENE_LOG_LEVEL must be DEBUG, INFO, WARNING, ERROR or CRITICAL, not {settings.log_level!r}."
        )
    log = logging.getLogger("musiscene")
    if not log.hasHandlers():
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(Discreet(settings))
        log.addHandler(handler)
        log.setLevel(level)
        return
    for given in [*log.handlers, *logging.getLogger().handlers]:
        if type(given) is logging.StreamHandler:  # the command line's own, which is of this process
            given.setFormatter(Discreet(settings))


def _secrets(settings: Settings) -> set[str]:
    given = [settings.results_password, settings.llm_api_key, *settings.api_keys.split(",")]
    given += settings.backend_key.split(",")
    given.append(urlsplit(settings.database_url).password or "")
    return {secret.strip() for secret in given if len(secret.strip()) >= _SHORTEST_SECRET}

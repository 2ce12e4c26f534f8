"""What the other machine has, looked at now and then and never while somebody waits."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from musiscene.errors import ConfigError
from musiscene.registry import STAGES, BackendSpec
from musiscene.remote.documents import DocumentError, kind_of, list_of, number_of, text_of, whole_of
from musiscene.remote.frames import PROTOCOL
from musiscene.types import CaptionKind

_log = logging.getLogger(__name__)

LOOK_AGAIN_S = 30.0
LOOK_AGAIN_SOON_S = 4.0
"""After it did not answer."""
LOOK_S = 3.0
"""So long an answer may take."""

USE_SKETCH = "choose the sketch profile, which works here"


@dataclass(frozen=True, slots=True)
class Offer:
    """One backend of the other machine."""

    stage: str
    name: str
    kinds: frozenset[CaptionKind]
    license: str = ""
    revision: str = ""
    time_limit_s: float = 0.0

    @classmethod
    def read(cls, document: Any) -> Offer:
        """From its JSON.

        Raises:
            DocumentError: It is none.
        """
        if not isinstance(document, Mapping) or document.get("stage") not in STAGES:
            raise DocumentError("a backend must have a stage")
        return cls(
            stage=document["stage"],
            name=text_of(document, "name", 100),
            kinds=frozenset(kind_of(kind) for kind in list_of(document, "kinds", len(CaptionKind))),
            license=text_of(document, "license", 500),
            revision=text_of(document, "revision", 200),
            time_limit_s=number_of(document, "time_limit_s", 0, 1e6),
        )


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All that the other machine has.

    Attributes:
        server: What it calls itself.
        version: Of its MusiScene.
        offers: Its backends.
        max_upload_bytes: Files of one request together.
    """

    server: str
    version: str
    offers: tuple[Offer, ...]
    max_upload_bytes: int

    @classmethod
    def read(cls, document: Any) -> Catalogue:
        """From its JSON.

        Raises:
            DocumentError: It is none.
        """
        if not isinstance(document, Mapping):
            raise DocumentError("a catalogue must be an object")
        return cls(
            server=text_of(document, "server", 100),
            version=text_of(document, "version", 100),
            offers=tuple(Offer.read(each) for each in list_of(document, "backends", 200)),
            max_upload_bytes=whole_of(document, "max_upload_bytes", 0, 2**63),
        )

    def find(self, spec: BackendSpec) -> Offer | None:
        """The offer that is `spec`."""
        wanted = stage_of(spec), spec.name, spec.produces
        return next((each for each in self.offers if (each.stage, each.name, each.kinds) == wanted), None)


def stage_of(spec: BackendSpec) -> str:
    """The stage that a backend belongs to."""
    return "captions" if spec.produces else "soundtracks"


@dataclass
class Server:
    """The other machine: its address, its key, and what was last seen of it."""

    url: str
    key: str = field(default="", repr=False)
    silence_s: float = 30.0
    _seen: Catalogue | None = field(default=None, repr=False)
    _trouble: str = field(default="", repr=False)
    _looked: float = field(default=-1e9, repr=False)
    _looking: bool = field(default=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.username or parts.query)
            _ = parts.port
        except ValueError:
            usable = False
        if not usable:
            raise ConfigError(
                "MUSISCENE_BACKEND_URL must be an address such as http://gpu-machine:8900, without a name, password "
                "or question mark in it. The key goes into MUSISCENE_BACKEND_KEY."
            )
        if self.silence_s <= 0:
            raise ConfigError(f"MUSISCENE_BACKEND_TIMEOUT_S must be more than 0, got {self.silence_s:g}.")
        self.url = self.url.rstrip("/")

    @property
    def shown(self) -> str:
        """Its address for a person who looks after this installation."""
        return urlsplit(self.url).netloc

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def catalogue(self) -> Catalogue | None:
        """What it has; None while it does not answer. Only the very first look is waited for."""
        now = time.monotonic()
        again_s = LOOK_AGAIN_SOON_S if self._trouble else LOOK_AGAIN_S
        if self._looked < 0:
            with self._lock:
                if self._looked < 0:
                    self._look()
        elif now - self._looked > again_s and not self._looking:
            with self._lock:
                if self._looking or now - self._looked <= again_s:
                    return self._seen
                self._looking = True
            threading.Thread(target=self._look, name="musiscene-backend-look", daemon=True).start()
        return self._seen

    def trouble(self) -> str:
        """Why it is of no use now, and the next step; empty when it answers."""
        self.catalogue()
        return self._trouble

    def failed(self, trouble: str) -> None:
        """Note that a request found it absent."""
        self._seen, self._trouble, self._looked = None, trouble, time.monotonic()

    def _look(self) -> None:
        try:
            self._seen, self._trouble = self._ask(), ""
        except _NoUse as error:
            if self._trouble != str(error):
                _log.warning("%s (%s)", error, self.shown)
            self._seen, self._trouble = None, str(error)
        finally:
            self._looked, self._looking = time.monotonic(), False

    def _ask(self) -> Catalogue:
        import httpx

        try:
            answer = httpx.get(f"{self.url}/v1/backends", headers=self.headers, timeout=LOOK_S)
        except (httpx.HTTPError, httpx.InvalidURL):
            raise _NoUse("The machine at MUSISCENE_BACKEND_URL does not answer.") from None
        if answer.status_code in (401, 403):
            raise _NoUse("The machine at MUSISCENE_BACKEND_URL refused the key of this one: set MUSISCENE_BACKEND_KEY.")
        try:
            document = answer.json() if answer.status_code == 200 else {}
            if not isinstance(document, dict) or "protocol" not in document:
                raise DocumentError("no catalogue")
            if document["protocol"] != PROTOCOL:
                raise _NoUse(
                    "The machine at MUSISCENE_BACKEND_URL speaks another version of the protocol: "
                    "install the same version of MusiScene on both."
                )
            return Catalogue.read(document)
        except (ValueError, DocumentError):
            raise _NoUse("At MUSISCENE_BACKEND_URL there is no `musiscene.serve_ray`: check the address.") from None


class _NoUse(Exception):
    """Why the other machine is of no use now."""


def key_digest(key: str) -> str:
    """What a machine keeps of a key that it takes."""
    return hashlib.sha256(key.strip().encode()).hexdigest()


Here = Callable[[], Any]
"""Loads the same backend on this machine."""

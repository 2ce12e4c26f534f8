"""Where weights come from: a path, a name in `musiscene weights list`, or a repository on the hub."""

from __future__ import annotations

from pathlib import Path

from musiscene.errors import BackendUnavailableError
from musiscene.published import MANIFEST, next_step
from musiscene.weights import find


def locate(given: str, weights_dir: Path | None = None, *, endpoint: str | None = None) -> Path:
    """The file or folder that `given` means.

    Args:
        given: A path, a name of the manifest, or `owner/name` with an optional `@revision`.
        weights_dir: Where names are looked up.
        endpoint: Address of the hub; huggingface.co when None.

    Raises:
        BackendUnavailableError: It is not here and cannot be fetched; the message says what to do.
    """
    path = Path(given).expanduser()
    if path.exists():
        return path
    if given in MANIFEST:
        found = find(given, weights_dir)
        if found is None:
            raise BackendUnavailableError(f"The weights {given} are not here. {next_step(given)}")
        return found
    if given.count("/") != 1 or given.startswith((".", "/", "~")):
        raise BackendUnavailableError(
            f"There are no weights {given}: it is no path, and no name in `musiscene weights list`."
        )
    return _from_hub(given, endpoint)


def _from_hub(given: str, endpoint: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    repo, _, revision = given.partition("@")
    try:
        return Path(snapshot_download(repo, revision=revision or None, endpoint=endpoint))
    except GatedRepoError as error:
        raise BackendUnavailableError(
            f"The weights {repo} are gated, and this account has no access: ask for it on "
            f"https://huggingface.co/{repo}, then run `hf auth login`."
        ) from error
    except RepositoryNotFoundError as error:
        raise BackendUnavailableError(
            f"There is no repository {repo} on the hub, or it is private: check the name, or run `hf auth login`."
        ) from error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise BackendUnavailableError(
            f"{repo} is neither on this machine nor reachable on the hub ({type(error).__name__}). Name a folder."
        ) from error

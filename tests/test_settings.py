"""Settings come from the environment, once, and are checked."""

from pathlib import Path

import pytest

from musiscene.errors import ConfigError
from musiscene.settings import Settings


def test_defaults_need_no_environment() -> None:
    """Nothing has to be set to start."""
    settings = Settings.from_env({})

    assert settings.profile == "auto"
    assert settings.ratings_url.startswith("sqlite:///")


def test_every_setting_is_read_from_its_variable() -> None:
    """MUSISCENE_ and the field's name; limits too."""
    settings = Settings.from_env(
        {
            "MUSISCENE_DATA_DIR": "somewhere",
            "MUSISCENE_PORT": "7999",
            "MUSISCENE_KEEP_FILES_S": "60.5",
            "MUSISCENE_MAX_BYTES": "1000",
            "MUSISCENE_DATABASE_URL": "postgresql+psycopg://example/db",
        }
    )

    assert settings.data_dir == Path("somewhere")
    assert settings.port == 7999
    assert settings.keep_files_s == 60.5
    assert settings.limits.max_bytes == 1000
    assert settings.ratings_url == "postgresql+psycopg://example/db"


@pytest.mark.parametrize("value", ["eighty", "80.5", ""])
def test_a_value_that_is_no_number_is_named(value: str) -> None:
    """The message says which variable; an empty one counts as not set."""
    if not value:
        assert Settings.from_env({"MUSISCENE_PORT": value}).port == 7860
        return
    with pytest.raises(ConfigError, match="MUSISCENE_PORT"):
        Settings.from_env({"MUSISCENE_PORT": value})

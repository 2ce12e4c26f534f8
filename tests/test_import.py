"""Importing the package is cheap."""

import subprocess
import sys

import musiscene


def test_importing_the_package_imports_nothing_heavy() -> None:
    """Not NumPy, not torch, not gradio; a script that only asks for the version pays nothing."""
    heavy = ["numpy", "av", "torch", "gradio", "scipy", "matplotlib", "sqlalchemy"]
    code = f"import sys, musiscene; print([name for name in {heavy!r} if name in sys.modules])"

    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_every_public_name_is_there() -> None:
    """What the package lists, it has."""
    assert all(getattr(musiscene, name) is not None for name in musiscene.__all__)


def test_a_wrong_name_is_an_attribute_error() -> None:
    """As for any module."""
    assert not hasattr(musiscene, "nonsense")

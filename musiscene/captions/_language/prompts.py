"""Prompts as data: named templates with a version, rendered without surprises.

A template's blanks are `{video}`, `{music}` and the like. Every other brace is an ordinary character, so that a
template edited by a person cannot reach anything but the values meant for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from musiscene.errors import ConfigError, RequestError

MAX_TEMPLATE_CHARS = 4000
MAX_VALUE_CHARS = 4000
"""Longest caption that is put into a prompt, in characters; about 1000 tokens, which every model takes."""

_BLANK = re.compile(r"\{([a-z_]+)\}")
_TURN = re.compile(r"<\|[^<>|]*\|>|\[/?INST\]|</?s>|<(?:start|end)_of_turn>")
"""Marks that separate the turns of a conversation; inside a caption they would end the question."""


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt with blanks.

    Attributes:
        name: Task and variant, as "fusion/paper"; "edited" when a person wrote it.
        version: Changes when the words do.
        task: What it is for: fusion, scene-target, scene-from-music, scene-from-picture or brief.
        text: The words, with blanks.
        source: Where the words come from.
    """

    name: str
    version: str
    task: str
    text: str
    source: str = ""

    @property
    def blanks(self) -> frozenset[str]:
        """The names of its blanks."""
        return frozenset(_BLANK.findall(self.text))

    def render(self, values: Mapping[str, str]) -> str:
        """The prompt, with `values` in the blanks; white space inside a value becomes single spaces.

        Raises:
            ConfigError: A blank has no value.
        """
        missing = self.blanks - values.keys()
        if missing:
            raise ConfigError(
                f"The prompt {self.name!r} has a blank {{{min(missing)}}} that nothing fills. Use {_list(values)} only."
            )
        return _BLANK.sub(lambda blank: _flat(values[blank[1]]), self.text)


def edited(task: str, text: str, known: tuple[str, ...]) -> Template:
    """A template that a person wrote.

    Args:
        task: What it is for.
        text: The words.
        known: The blanks that can be filled; at least one must be used.

    Raises:
        RequestError: It is empty, too long, has an unknown blank or uses none of the known ones.
    """
    text = text.strip()
    if not text:
        raise RequestError("The prompt is empty. Write one, or reset it to the default.")
    if len(text) > MAX_TEMPLATE_CHARS:
        raise RequestError(f"A prompt has at most {MAX_TEMPLATE_CHARS} characters, this one {len(text)}. Shorten it.")
    template = Template("edited", "", task, text, "a person")
    unknown = template.blanks - set(known)
    if unknown:
        raise RequestError(f"The prompt has a blank {{{min(unknown)}}}, which there is not. Use {_list(known)}.")
    if not template.blanks:
        raise RequestError(f"The prompt has no blank, so it would say the same of every clip. Use {_list(known)}.")
    return template


def find_template(name: str) -> Template:
    """The template called `name`.

    Raises:
        ConfigError: There is none; the message lists those there are.
    """
    for template in list_templates():
        if template.name == name:
            return template
    names = ", ".join(template.name for template in list_templates())
    raise ConfigError(f"There is no prompt named {name!r}. Choose one of: {names}.")


@cache
def list_templates(task: str = "") -> tuple[Template, ...]:
    """All templates, or those for one task; the first of a task is its default."""
    document = json.loads(files(__package__).joinpath("prompts.json").read_text("utf-8"))
    return tuple(
        template for entry in document if not task or entry["task"] == task for template in [Template(**entry)]
    )


def _flat(value: str) -> str:
    """A value on one line, without marks of turns and of bounded length, cut between words."""
    flat = " ".join(_TURN.sub(" ", value).split())
    if len(flat) <= MAX_VALUE_CHARS:
        return flat
    return flat[:MAX_VALUE_CHARS].rsplit(" ", 1)[0]


def _list(names: Mapping[str, str] | tuple[str, ...]) -> str:
    return " and ".join(f"{{{name}}}" for name in sorted(names))

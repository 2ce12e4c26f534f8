"""Where picture and music agree, who decides where they do not, and the brief in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from musiscene.captions._fusion.affect import describe, energy_word, tone_word
from musiscene.captions._fusion.facts import MusicFacts, PictureFacts

FAR_AROUSAL = 0.5
"""Difference of arousal (of 2) from which picture and music disagree in energy."""
FAR_VALENCE = 0.7
SLOWEST, FASTEST = 50.0, 190.0


@dataclass(frozen=True, slots=True)
class Decision:
    """One thing that was decided: what, the outcome, who led ("picture", "music" or "both"), and why."""

    what: str
    chosen: str
    led_by: str
    reason: str

    def as_dict(self) -> dict[str, str]:
        """JSON-ready."""
        return {"what": self.what, "chosen": self.chosen, "led_by": self.led_by, "reason": self.reason}


@dataclass(frozen=True)
class Brief:
    """One brief for a composer: arousal and valence -1 to 1, agreement 0 (opposed) to 1 (as one), None if unknown."""

    arousal: float
    valence: float
    tempo_bpm: float
    tempo_kept: str
    """As in "half the music's tempo"; empty where the tempo is the music's own, or there is none."""
    key: str
    mode: str
    agreement: float | None
    decisions: tuple[Decision, ...]
    conflict: str
    """What disagrees and how it was settled; empty when nothing does."""


def decide(picture: PictureFacts, music: MusicFacts) -> Brief:
    """Weigh both sides."""
    decisions: list[Decision] = []
    arousal, led, of_energy = _energy(picture, music, decisions)
    valence, of_mood = _tone(picture, music, decisions)
    tempo, kept = _tempo(music, arousal, led, decisions)
    key, mode = _key(music, valence, decisions)
    agreement = _agreement(picture, music)
    conflict = "; ".join(part for part in (of_energy, of_mood) if part)
    return Brief(arousal, valence, tempo, kept, key, mode, agreement, tuple(decisions), conflict)


def _energy(picture: PictureFacts, music: MusicFacts, decisions: list[Decision]) -> tuple[float, str, str]:
    seen, heard = picture.arousal, music.arousal
    if picture.nothing or seen is None:
        why = f"the picture is {picture.nothing}" if picture.nothing else "the picture's energy is not known"
        value = heard if heard is not None and not music.nothing else -0.3
        decisions.append(Decision("energy", energy_word(value), "music", why))
        return value, "music", f"since {why}, the music leads" if picture.nothing and not music.nothing else ""
    if music.nothing or heard is None:
        why = f"the sound is {music.nothing}, not music" if music.nothing else "the music's energy is not known"
        decisions.append(Decision("energy", energy_word(seen), "picture", why))
        return seen, "picture", f"since {why}, the picture leads" if music.nothing else ""
    if abs(seen - heard) <= FAR_AROUSAL:
        value = 0.5 * seen + 0.5 * heard
        decisions.append(Decision("energy", energy_word(value), "both", "picture and music are about as energetic"))
        return value, "both", ""
    contrast = f"the picture has {'more' if seen > heard else 'less'} energy than the music"
    if music.wished and not picture.wished:
        decisions.append(Decision("energy", energy_word(heard), "music", "a person asked for this music"))
        return heard, "music", f"{contrast}, which leads because it was asked for in words"
    # A soundtrack serves its picture, so the picture has the larger say; the music still pulls.
    value = 0.7 * seen + 0.3 * heard
    reason = "a soundtrack has to carry what is seen"
    decisions.append(Decision("energy", energy_word(value), "picture", f"{contrast}, and {reason}"))
    return value, "picture", f"{contrast}, and the energy follows the picture, since {reason}"


def _tone(picture: PictureFacts, music: MusicFacts, decisions: list[Decision]) -> tuple[float, str]:
    seen = None if picture.nothing else picture.valence
    heard = None if music.nothing else music.valence
    if seen is None or heard is None:
        value = seen if heard is None else heard
        led = "picture" if heard is None and seen is not None else "music"
        decisions.append(Decision("mood", tone_word(value or 0.0), led, "only this side tells of it"))
        return value or 0.0, ""
    # Words of a scene tell more of feeling than colours do; measured colours tell less than harmony does.
    share = 0.6 if picture.source.startswith("words") else 0.3
    if music.wished and not picture.wished:
        share = 0.1
    value = share * seen + (1 - share) * heard
    led = "picture" if share > 0.5 else "music"
    if abs(seen - heard) <= FAR_VALENCE:
        decisions.append(Decision("mood", tone_word(value), "both", "picture and music are close in mood"))
        return value, ""
    reason = (
        "the scene's words tell its feeling" if led == "picture" else "harmony tells more of feeling than colours do"
    )
    decisions.append(Decision("mood", tone_word(value), led, reason))
    contrast = f"the picture seems {tone_word(seen)}, the music {tone_word(heard)}"
    return value, f"{contrast}: the mood follows the {led}, because {reason}"


def _tempo(music: MusicFacts, arousal: float, led: str, decisions: list[Decision]) -> tuple[float, str]:
    """The tempo, and how it follows from the music's where it is not the same."""
    wanted = 100.0 + 45.0 * arousal
    if music.tempo_bpm is None or music.nothing:
        decisions.append(Decision("tempo", f"{wanted:.0f} BPM", "picture", "the music has no clear tempo"))
        return float(round(wanted)), ""
    if led == "music":
        decisions.append(Decision("tempo", f"{music.tempo_bpm:.0f} BPM", "music", "the music leads"))
        return music.tempo_bpm, ""
    # Half and double time keep the music's pulse and bring it near to the energy; where both sides agree in energy,
    # the music's own count is left only when it is far from it.
    stay = 0.1 if led == "picture" else 0.55
    choices = {"the music's tempo": 1.0, "half the music's tempo": 0.5, "twice the music's tempo": 2.0}
    usable = {
        name: factor * music.tempo_bpm
        for name, factor in choices.items()
        if SLOWEST <= factor * music.tempo_bpm <= FASTEST
    } or {"the music's tempo": music.tempo_bpm}
    name = min(
        usable, key=lambda one: abs(np.log2(usable[one] / wanted)) + (stay if one != "the music's tempo" else 0.0)
    )
    reason = f"{name} suits the energy best"
    decisions.append(Decision("tempo", f"{usable[name]:.0f} BPM", "music", reason))
    return float(usable[name]), "" if name == "the music's tempo" else name


def _key(music: MusicFacts, valence: float, decisions: list[Decision]) -> tuple[str, str]:
    if music.key and not music.nothing:
        decisions.append(Decision("key", music.key, "music", "a picture has no key"))
        return music.key, music.mode or music.key.split()[-1]
    mode = music.mode if music.mode and not music.nothing else "major" if valence > -0.1 else "minor"
    decisions.append(
        Decision("key", f"a {mode} key", "music" if music.mode else "both", "no key is certain; the mood suggests it")
    )
    return "", mode


def _agreement(picture: PictureFacts, music: MusicFacts) -> float | None:
    if picture.nothing or music.nothing or picture.arousal is None or music.arousal is None:
        return None
    apart = (picture.arousal - music.arousal) ** 2
    if picture.valence is not None and music.valence is not None:
        apart = (apart + 0.5 * (picture.valence - music.valence) ** 2) / 1.5
    return float(np.clip(1.0 - np.sqrt(apart) / 1.5, 0, 1))


def brief_text(brief: Brief, picture: PictureFacts, music: MusicFacts) -> str:
    """The brief as one or two sentences."""
    mood = describe(brief.arousal, brief.valence)
    style = f" {music.styles[0]}" if music.styles else ""
    article = "An" if mood[0] in "aeiou" else "A"
    key = f" in {brief.key}" if brief.key else f" in a {brief.mode} key"
    meter = f", {music.meter}," if music.meter and music.meter != "4/4" and not brief.tempo_kept else ""
    kept = f", {brief.tempo_kept}," if brief.tempo_kept else ""
    parts = f"{article} {mood}{style} soundtrack at {brief.tempo_bpm:.0f} BPM{kept}{key}{meter}"
    if music.instruments:
        parts += f" with {_joined(music.instruments[:4])}"
    elif music.texture in ("solo", "sparse", "full"):
        parts += {"solo": " with one instrument", "sparse": " with few voices", "full": " with a full sound"}[
            music.texture
        ]
    text = f"{parts} {_picture_phrase(picture)}."
    second = [brief.conflict] if brief.conflict else []
    course = _course(picture)
    if course:
        second.append(course)
    if not second and brief.agreement is not None and brief.agreement > 0.7:
        second.append("picture and music agree in energy and mood")
    if second:
        joined = "; ".join(second)
        text += f" {joined[0].upper()}{joined[1:]}."
    return text


def _picture_phrase(picture: PictureFacts) -> str:
    if picture.said:
        return f"for this picture: {picture.said}"
    if picture.nothing == "black":
        return "for a black screen"
    words = [
        {"night-like": "dark, night-like", "day-like": "bright", "even": "evenly lit"}.get(picture.light, picture.light)
    ]
    if picture.warmth in ("warm", "cold"):
        words.append(f"{picture.warmth}-coloured")
    adjectives = ", ".join(word for word in words if word)
    article = "an" if adjectives[:1] in set("aeiou") else "a"
    text = f"for {article} {adjectives} picture" if adjectives else "for a picture"
    if picture.colours:
        text += f" in {_joined(picture.colours)}"
    return f"{text} {_movement(picture)}".rstrip()


def _movement(picture: PictureFacts) -> str:
    if picture.nothing == "still":
        return "that stands still"
    kind = picture.motion_kind
    camera = {
        "static": "from a fixed camera" if picture.camera_sure else "with hardly any movement",
        "handheld": "from a handheld camera",
        "action": f"with {picture.motion_word} action" + (" before a fixed camera" if picture.camera_sure else ""),
        "mixed": f"with {picture.motion_word} motion",
        "pan left": "with the camera panning left",
        "pan right": "with the camera panning right",
        "tilt up": "with the camera tilting up",
        "tilt down": "with the camera tilting down",
        "zoom in": "with the camera moving in",
        "zoom out": "with the camera moving back",
    }.get(kind, "")
    if picture.pace_cuts_per_min > 25:
        return f"{camera}, cut quickly"
    if picture.cuts:
        return f"{camera}, in {picture.cuts + 1} shots"
    return camera


def _course(picture: PictureFacts) -> str:
    if picture.nothing:
        return ""
    return {
        "building": "let it build towards the end, as the picture does",
        "calming": "let it settle towards the end, as the picture does",
        "swelling": "let it rise in the middle, where most happens",
        "dipping": "let it thin out in the middle, where the picture rests",
        "quickening": "let it press forward as the cuts come faster",
        "slowing": "let it broaden as the cuts come slower",
    }.get(picture.course, "")


def _joined(parts: tuple[str, ...]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def brief_evidence(brief: Brief, picture: PictureFacts, music: MusicFacts) -> dict[str, Any]:
    """JSON-ready evidence of the fusion caption."""
    agreement = brief.agreement
    word = (
        "unknown" if agreement is None else "agree" if agreement > 0.7 else "partly" if agreement > 0.45 else "disagree"
    )
    return {
        "tempo_bpm": round(brief.tempo_bpm, 2),
        "key": brief.key,
        "mode": brief.mode,
        "arousal": round(brief.arousal, 3),
        "valence": round(brief.valence, 3),
        "mood": describe(brief.arousal, brief.valence),
        "agreement": None if agreement is None else round(agreement, 3),
        "agreement_word": word,
        "decisions": [decision.as_dict() for decision in brief.decisions],
        "sources": {"video": picture.source, "music": music.source},
        "picture": {"arousal": picture.arousal, "valence": picture.valence, "nothing": picture.nothing},
        "music": {"arousal": music.arousal, "valence": music.valence, "nothing": music.nothing},
        "motion_curve": [round(v, 3) for v in picture.curve],
        "energy_curve": [round(v, 3) for v in music.curve],
        "duration_s": picture.duration_s,
    }

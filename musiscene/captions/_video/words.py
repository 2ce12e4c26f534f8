"""One or two sentences of English from what was measured. What was not measured is not said."""

from __future__ import annotations

from musiscene.captions._video.analysis import Picture

CAMERA = {
    "pan left": "the camera {speed} pans to the left",
    "pan right": "the camera {speed} pans to the right",
    "tilt up": "the camera {speed} tilts up",
    "tilt down": "the camera {speed} tilts down",
    "zoom in": "the camera {speed} moves in",
    "zoom out": "the camera {speed} moves back",
}
ACTION = {
    "still": "hardly anything moves",
    "gentle": "there is gentle movement",
    "moderate": "there is clear movement",
    "lively": "there is lively movement",
    "intense": "there is fast, lively movement",
}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def caption_text(picture: Picture) -> str:
    """The caption."""
    if picture.light.black:
        return (
            f"The picture is black from beginning to end{_for_length(picture)}; there is nothing to see, "
            "so only its length can guide the music."
        )
    if picture.look.frames == 1:
        return f"A single still picture, {_picture(picture)}.{_second(picture, moving=False)}"
    if picture.look.frozen:
        return (
            f"A still picture that does not change{_for_length(picture)}, {_picture(picture)}."
            f"{_second(picture, moving=False)}"
        )
    return f"{_opening(picture)}: {_picture(picture)}.{_second(picture, moving=True)}"


def number(count: int) -> str:
    """A small count in letters, a large one in figures."""
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def joined(parts: list[str]) -> str:
    """The parts as an English list."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def spoken_length(seconds: float) -> str:
    """A length of time as one says it."""
    if seconds < 1.5:
        return "a second"
    if seconds < 90:
        return f"{number(round(seconds))} seconds"
    minutes = seconds / 60
    return f"{number(round(minutes))} minutes" if abs(minutes - round(minutes)) < 0.1 else f"{minutes:.1f} minutes"


def _for_length(picture: Picture) -> str:
    return f" for {spoken_length(picture.duration_s)}" if picture.look.frames > 1 else ""


def _opening(picture: Picture) -> str:
    camera = _camera(picture)
    if picture.shots == 1:
        return f"One unbroken shot {camera}"
    about = "about " if picture.shots_are_estimated else ""
    count = f"{about}{number(picture.shots)} shots in {spoken_length(picture.duration_s)}"
    pace = picture.pace_cuts_per_min
    manner = "quickly cut" if pace > 25 else "calmly cut" if pace < 8 else ""
    return f"{count[0].upper()}{count[1:]}{', ' + manner + ',' if manner else ''} {camera}"


def _camera(picture: Picture) -> str:
    motion = picture.motion
    if motion.kind in CAMERA:
        fastest = max((s for s in motion.shots if s.kind == motion.kind), key=lambda s: s.length_s)
        if "zoom" in motion.kind:
            speed = abs(fastest.zoom) / 3
        else:
            speed = max(abs(fastest.right), abs(fastest.down))
        manner = "slowly" if speed < 0.08 else "quickly" if speed > 0.4 else "steadily"
        words = CAMERA[motion.kind].format(speed=manner)
        # Near and far things drift apart before a moving camera: that is not told from things that move themselves.
        return f"in {'most of ' if picture.shots > 1 else ''}which {words}"
    mostly = "mostly " if picture.shots > 1 and len({shot.kind for shot in motion.shots}) > 1 else ""
    if motion.kind == "handheld":
        shake = "an unsteady" if motion.level > 0.4 else "a gently moving"
        return f"{mostly}from {shake}, apparently handheld camera"
    # A plain ground does not tell whether the camera rests: then nothing is said of it.
    fixed = f"{mostly}from a fixed camera, " if motion.sure > 0.5 else ""
    if motion.kind == "action":
        return f"{fixed}in which {ACTION[motion.word]}"
    if motion.kind == "static":
        return f"{fixed}with hardly any movement" if motion.word == "still" else f"{fixed}with little movement"
    if motion.kind == "unknown":
        return "whose motion could not be measured"
    return f"with changing camera moves and {motion.word} motion"


def _picture(picture: Picture) -> str:
    light, colour = picture.light, picture.colour
    words = [
        {"even": "evenly lit", "day-like": "bright, day-like", "night-like": "dark, night-like"}.get(
            light.word, light.word
        )
    ]
    if colour.monochrome:
        words.append("black-and-white")
    elif colour.warmth_word in ("warm", "cold"):
        words.append(colour.warmth_word)
    elif colour.saturation_word == "colourless":
        words.append("nearly colourless")
    noun = {"drawn": "drawn-looking picture", "graphics": "graphic picture"}.get(picture.look.kind, "picture")
    text = f"{_article(words[0])} {', '.join(words)} {noun}"
    if not colour.monochrome:
        names = [swatch.name for swatch in colour.palette[:3]]
        strength = colour.saturation_word if colour.saturation_word in ("vivid", "muted") else ""
        plain = [name.removeprefix(f"{strength} ") for name in names]
        if names:
            text += f" in {strength} colours, mostly {joined(plain)}" if strength else f" in {joined(names)}"
        if names and colour.accents:
            text += f", with touches of {joined(list(colour.accents))}"
    if light.contrast > 0.8:
        text += ", strong in contrast"
    elif light.contrast < 0.25:
        text += ", soft in contrast"
    return text


def _second(picture: Picture, *, moving: bool) -> str:
    parts = [
        part
        for part in (_people(picture), _screen(picture), _course(picture) if moving else "", _feel(picture))
        if part
    ]
    if not parts:
        return ""
    text = "; ".join(parts)
    return f" {text[0].upper()}{text[1:]}."


def _people(picture: Picture) -> str:
    count = picture.people.faces
    if not count:
        return ""
    if count == 1:
        where = " close up" if picture.people.close else ""
        return f"a face is seen{where}"
    return f"at least {number(count)} faces are seen"


def _screen(picture: Picture) -> str:
    if picture.look.screen_like:
        return "flat areas and hard edges suggest a screen, slides or titles"
    if picture.look.text_cards >= 0.2 and picture.look.kind not in ("drawn", "graphics"):
        return "some of it looks like titles or graphics"
    return ""


def _course(picture: Picture) -> str:
    course = {
        "building": "the motion builds towards the end",
        "calming": "it calms down towards the end",
        "swelling": "most happens in the middle",
        "dipping": "the middle is calmer than beginning and end",
        "quickening": "the cuts come faster towards the end",
        "slowing": "the cuts come slower towards the end",
    }.get(picture.development.word, "")
    light = {"brightening": "it grows brighter", "darkening": "it grows darker"}.get(picture.light.trend, "")
    return " and ".join(part for part in (course, light) if part)


def _feel(picture: Picture) -> str:
    arousal, valence = picture.mood.arousal, picture.mood.valence
    energy = "calm" if arousal < -0.45 else "energetic" if arousal > 0.2 else ""
    tone = (
        "cheerful"
        if valence > 0.35 and arousal > -0.3
        else "friendly"
        if valence > 0.25
        else "sombre"
        if valence < -0.35
        else ""
    )
    words = [word for word in (energy, tone) if word]
    return f"light, colours and motion make {_article(words[0])} {joined(words)} impression" if words else ""


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"

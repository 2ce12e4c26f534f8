"""Every text of the page, in one place: a translation is another dictionary with the same keys.

`{name}` is filled in by `fill` here and by a function of the same name in the browser.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ENGLISH: Mapping[str, str] = MappingProxyType(
    {
        # The page
        "title": "MusiScene",
        "tagline": "Four ways to hear a picture. Describe a clip, score it from each description, and rate what fits.",
        "theme": "Light or dark",
        "skip": "Skip to the comparison",
        "offline": "You are offline. What is already here keeps working; new work waits for the connection.",
        "lost": "The page cannot reach its server. Check that it still runs; your results are kept there.",
        # Source
        "source_heading": "Clip",
        "drop_title": "Drop a video or a music track here",
        "drop_choose": "Choose a file",
        "drop_or": "or",
        "drop_limit": "Video or audio, up to {size} and {duration}.",
        "record": "Record with the camera",
        "record_stop": "Stop recording",
        "record_refused": "The browser did not allow the camera and microphone ({reason}). Allow them, or upload.",
        "record_name": "Recording",
        "examples": "Or try an example",
        "uploading": "Uploading {name}",
        "opening": "Reading the clip",
        "upload_failed": "The upload of {name} did not finish ({reason}). Check the connection and try again.",
        "upload_too_large": "{name} has {size}, and this page takes up to {limit}. Choose a smaller file.",
        "upload_unknown": "That upload is not known here. Choose the file again.",
        "another_clip": "Choose another clip",
        "preview": "Preview of {name}",
        "preview_unplayable": "This browser cannot play {name} itself. The results will be playable.",
        "reference": "Reference music",
        "reference_about": "Optional. Its sound is described in place of the clip's own.",
        "reference_add": "Add a track",
        "reference_remove": "Remove {name}",
        "fact_length": "Length",
        "fact_picture": "Picture",
        "fact_sound": "Sound",
        "fact_size": "File",
        "fact_none": "none",
        "fact_silent": "digital silence",
        "mono": "mono",
        "stereo": "stereo",
        "channels": "{n} channels",
        "keep": "Files are removed {time} after they were last used. Ratings are kept.",
        "gone": "These results were removed: files are kept {time} after they were last used. Choose a clip to begin.",
        "gone_captions": "Its files were removed. These captions are still yours:",
        # Actions
        "both": "Describe and score",
        "describe": "Describe",
        "score": "Score",
        "stop": "Stop",
        "blind": "Blind comparison",
        "blind_about": "Shuffles the soundtracks and hides which caption each came from until all are rated.",
        "need_clip": "Choose a clip first.",
        "need_captions": "There is no caption to make music from yet. Press Describe first.",
        # Progress
        "idle": "Ready",
        "idle_empty": "Choose a clip to begin",
        "waiting_one": "1 person is before you",
        "waiting_many": "{n} people are before you",
        "captioning": "Writing captions",
        "scoring": "Making soundtracks",
        "done_captions": "Captions are ready. Edit them, or press Score.",
        "done_captions_blind": "Captions are ready, and hidden. Press Score.",
        "done": "Everything is ready",
        "stopped": "Stopped. What was finished stays.",
        "left": "about {time} left",
        "of": "{done} of {total}",
        # Captions
        "captions_heading": "Captions",
        "captions_about": "Change any of them: the music is made from your words.",
        "caption_label": "{title} caption",
        "caption_empty": "Appears here after Describe.",
        "caption_waiting": "Waiting",
        "caption_working": "Writing",
        "caption_hidden": "Hidden until every soundtrack is rated.",
        "caption_edited": "edited",
        "caption_undo": "Undo the edit",
        "caption_too_long": "A caption can have {limit} characters, this one has {n}. Shorten it.",
        "caption_blank": "The {title} caption is empty. Write a few words, or undo the edit.",
        "unavailable": "Not available for this clip",
        "evidence": "What was measured",
        "evidence_plot": "Plot of what the {title} caption was made from",
        "brief": "Musical brief",
        "brief_about": "What the arranger reads from the words. Change it to overrule them.",
        "brief_tempo_bpm": "Tempo (BPM)",
        "brief_key": "Key",
        "brief_mode": "Mode",
        "brief_style": "Style",
        "brief_meter": "Meter",
        "brief_energy": "Energy (0 to 1)",
        # Compare
        "compare_heading": "Compare",
        "compare_empty": "Soundtracks appear here as each is ready. Switch between them at the same moment.",
        "play": "Play",
        "pause": "Pause",
        "position": "Position",
        "volume": "Volume",
        "loop": "Loop",
        "loop_start": "Start here",
        "loop_end": "End here",
        "loop_clear": "Clear the loop",
        "loop_hint": "Drag over the waveform to mark a part.",
        "keys": "Keys: {keys} switch, space plays.",
        "original": "Original",
        "original_sound": "Original sound",
        "reference_sound": "Reference track",
        "listen": "Listen to {name}",
        "track": "Soundtrack {letter}",
        "from_caption": "from the {title} caption",
        "take": "take {n}",
        "track_working": "Being made",
        "track_waiting": "Waiting",
        "track_hidden_failed": "{n} could not be made; the reason is shown when all are rated.",
        "prompt": "Made from",
        "seed": "seed {seed}",
        "loudness": "{lufs} LUFS",
        "silence": "silent",
        "made_in": "made in {time}",
        "download": "Download {what} of {name}",
        "decode_failed": "This sound could not be loaded ({reason}). Reload the page to try again.",
        # Rating
        "question": "How well does the music suit the video?",
        "question_track": "How well does the new music suit the scene of the original track?",
        "band_0": "Bad",
        "band_1": "Poor",
        "band_2": "Fair",
        "band_3": "Good",
        "band_4": "Excellent",
        "rating_label": "Rating of {name}, 0 to 100",
        "comment_label": "Comment on {name}",
        "comment_hint": "Why? (optional)",
        "unrated": "not rated",
        "saved": "Saved",
        "saving": "Saving",
        "left_to_rate": "Rate {n} more to see which is which.",
        "revealed": "All rated: here is which is which.",
        "summary_heading": "Ratings so far",
        "summary_clip": "This clip",
        "summary_all": "All clips",
        "summary_none": "No ratings yet.",
        "summary_ci": "95 % confidence interval ({method})",
        "summary_n": "n = {n}",
        # Take away
        "download_all": "Download all",
        "share": "Copy link",
        "copied": "Copied",
        # Settings
        "settings": "Settings",
        "kinds": "Captions to make",
        "duration": "Length of the music (seconds)",
        "duration_about": "0: as long as the clip, or 30 s for a track.",
        "seed_label": "Seed",
        "seed_about": "The same words and seed give the same music.",
        "seed_lock": "Keep this seed",
        "takes": "Takes per caption",
        "mix": "The clip's own sound",
        "mix_replace": "Replace it",
        "mix_duck": "Keep it; the music steps back",
        "mix_blend": "Keep it, equally loud",
        "gain": "Level of the music beside it (dB)",
        "engines": "Engines",
        "engine_of": "{title} engine",
        "engine_music": "Music generator",
        "engine_auto": "{name} (default)",
        "engine_missing": "{name} (not here)",
        "engines_missing": "Not available on this machine",
        "profile": "Profile: {name}. {summary}",
        # History
        "history": "Earlier comparisons",
        "history_about": "Remembered by this browser only.",
        "history_empty": "Nothing yet. Comparisons made here are listed, for this browser only.",
        "history_open": "Open {name}",
        "history_delete": "Delete {name}",
        "history_link": "Copy the link to {name}",
        "history_tracks": "{n} soundtracks",
        "history_track": "1 soundtrack",
        "history_captions": "{n} captions",
        "history_caption": "1 caption",
        "history_deleted": "{name} was deleted.",
        # Units
        "seconds": "{n} s",
        "minutes": "{m} min {s} s",
        "hours": "{n} hours",
        "hour": "1 hour",
        "days": "{n} days",
    }
)


def fill(text: str, **values: object) -> str:
    """`text` with each `{name}` replaced by its value."""
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text


def duration_words(seconds: float, texts: Mapping[str, str] = ENGLISH) -> str:
    """A length of time as people say it: "24 hours", "1 min 5 s", "8.5 s"."""
    if seconds >= 2 * 86400 and seconds % 86400 == 0:
        return fill(texts["days"], n=round(seconds / 86400))
    if seconds >= 3600:
        hours = seconds / 3600
        return texts["hour"] if hours == 1 else fill(texts["hours"], n=f"{hours:.3g}")
    if seconds >= 60:
        whole = round(seconds)
        return fill(texts["minutes"], m=whole // 60, s=whole % 60)
    return fill(texts["seconds"], n=f"{seconds:.1f}".removesuffix(".0"))


def size_words(size_bytes: float) -> str:
    """A file size in the unit that reads best, powers of 1000: "12.3 MB"."""
    for unit in ("B", "kB", "MB"):
        if size_bytes < 1000:
            return f"{size_bytes:.3g} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.3g} GB"

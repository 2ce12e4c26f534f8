"""Stage 1, in: what a media file is, its frames, its sound, and how loud that is.

Everything is decoded with PyAV; no ffmpeg program is needed.
"""

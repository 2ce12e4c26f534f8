"""Stage 3, music: one file (or sub-package) per music generator, each with a module-level `SPEC`."""

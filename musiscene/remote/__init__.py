"""Backends of another machine (`musiscene.serve_ray`), used as if they were here. See docs/scaling.md."""

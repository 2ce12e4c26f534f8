"""Backends for other machines' pages: what `musiscene.serve_ray` puts on Ray Serve. See docs/scaling.md."""

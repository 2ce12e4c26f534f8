"""The page: `build_app()` and one file per page; handlers are plain functions, layout is apart."""

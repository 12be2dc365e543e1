"""Measurements: `python -m dsconv.bench`; `timing`, `watch` and `check` serve any benchmark."""

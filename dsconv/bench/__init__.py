"""Measurements: `python -m dsconv.bench`; `timing`, `peak` and `machine` serve any benchmark."""

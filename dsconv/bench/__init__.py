"""Measurements: `python -m dsconv.bench`; `timing` and `machine` serve any benchmark."""

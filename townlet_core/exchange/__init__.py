"""Replay data in the formats and interfaces of other libraries (docs/exchange.md).

Read episodes → columns → parquet, huggingface and minari_export; mapping → imported → npz_import and
minari_import; torch_data. Each optional library has modules of its own, so that the others work without it.
"""

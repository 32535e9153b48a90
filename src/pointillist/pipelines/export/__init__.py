"""Samples for tools that read no Parquet."""

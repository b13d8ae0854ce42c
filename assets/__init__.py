"""Dagster assets of this deployment: what exists here.

Thin: they translate between Dagster and the library and hold no business rule.
"""

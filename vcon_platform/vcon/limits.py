"""What a document may be at most. The caps bound time and memory; none of them is near what real documents need.

The largest public vCons: 3.4 MB, 105 attachments, depth 12 (3,187 documents, vcon_format.md).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """``document_bytes``: as it arrives. ``inflated_bytes``, ``ratio``: after gunzip. ``skeleton_bytes``: what is left
    in memory once long bodies are moved aside. ``members``: of all objects together. ``elements``: of one array
    anywhere. ``dialogs``: elements of one of the document's own four arrays."""

    document_bytes: int = 1 << 30
    inflated_bytes: int = 1 << 30
    ratio: int = 100
    skeleton_bytes: int = 64 << 20
    depth: int = 64
    members: int = 2_000_000
    elements: int = 1_000_000
    dialogs: int = 10_000

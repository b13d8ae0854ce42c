"""What a projection is: a declared table (which vCons, which columns, into which destinations)."""

from __future__ import annotations

from pydantic import BaseModel


class Projection(BaseModel):
    name: str

"""The test suite mirrors the rooms of the house; ``support`` and ``conftest`` hold what all of them share."""

"""4th floor: what happens to a conversation. The contract is in ``base.py``; one file per built-in processor."""

"""2½th floor, between the store and the adapters: the one way in for content from outside, from bytes to a stored,
archived, queued and recorded vCon. It stands above store *and* ledger because a vCon and the event of its coming
appear in one transaction."""

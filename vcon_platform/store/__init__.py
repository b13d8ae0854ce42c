"""2nd floor: where documents, media, queues and leases are kept."""

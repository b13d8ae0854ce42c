"""5th floor: definitions, their catalogue, and the engine that walks a batch."""

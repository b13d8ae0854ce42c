"""2nd floor: the append-only audit trail of what happened to each vCon."""

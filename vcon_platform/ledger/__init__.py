"""2nd floor: the append-only audit trail of what happened to each vCon.

``events`` says what is recorded, ``store`` keeps it in Postgres, ``outbox`` brings it there from Redis.
"""

"""3rd floor: declared tables: the model, row building, one file per destination.

Where to look: ``model`` (what a declaration may say), ``catalogue`` (the folder of declarations), ``extract`` (the
named extractors), ``rows`` (vCon to row, row to attachment and back), ``destination`` (what every destination can
do), ``postgres`` (the first one), ``reconcile`` (makes a destination hold what it should).
"""

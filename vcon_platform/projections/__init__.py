"""3rd floor: declared tables: the model, row building, and where the rows land.

Where to look: ``model`` (what a declaration may say), ``catalogue`` (the folder of declarations), ``extract``,
``grains`` and ``sources`` (the named extractors), ``building`` (document to values), ``rows`` (rows to attachment and
back), ``destination`` (what every destination can do), ``fitting`` (values to what it takes), ``destinations`` (the
kinds), ``reconcile`` (makes a destination hold what it should), ``landing`` (from the store, in groups of days),
``renewing`` (rows made anew for what was before the declaration), ``reading`` and ``exporting`` (rows for people).
"""

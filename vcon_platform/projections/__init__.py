"""3rd floor: declared tables: the model, row building, one file per destination."""

"""Who may do what: keys, scopes, tokens of an identity provider, which vCons a caller may see."""

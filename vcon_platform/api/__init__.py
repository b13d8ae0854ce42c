"""6th floor: the REST APIs."""

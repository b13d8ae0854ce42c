"""Sample calls for the demo and the tests, and the switch that "made" them."""

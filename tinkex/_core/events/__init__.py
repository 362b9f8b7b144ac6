"""The types of the events that the SDK emits, and the bus that delivers them."""

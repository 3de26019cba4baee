"""How the clinic learns of changes beyond its feed, and how hospitals tell us of theirs."""

"""What `sync.deliver` is made of: one delivery's plan, its steps, what was seen at the hospital, and how its run ended."""

"""What `sync.pull` is made of: reading a hospital's changes, judging them, and laying them beside what we know."""

"""What `sync.schedule` is made of: due times, runs, and the works a run does."""

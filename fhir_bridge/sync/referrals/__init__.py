"""What `sync.refer` is made of: reading, matching, deciding, searching and answering what hospitals ask for."""

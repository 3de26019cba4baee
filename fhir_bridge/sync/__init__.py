"""The use cases, one module each: accept, deliver, pull, refer, reconcile … What a large one is made of is the folder beside it."""

"""What every test shares: nothing is left out in silence, and servers are started once a run."""

pytest_plugins = ["nothing_left_out", "server_fixtures", "databases", "pytester"]
